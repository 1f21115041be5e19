/**
 * `npm run bench:gradient [-- MODEL...]`: what the gradient with respect to the image costs on this machine's CPU.
 *
 * For each model, interleaved so that all meet the same noise, and as the minimum of several runs: the forward pass; the
 * forward pass with the gradient; the floor, which is twice the forward pass's arithmetic at the best rate that this
 * machine reaches in a convolution or a matrix product; and, where Python can import torch (`PYTHON` names it), PyTorch
 * computing the same gradient, with batch norm folded and not.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { GraphBuilder } from '../../converters/onnx/builder.ts'
import { prepareClassifier } from '../../converters/onnx/classifier.ts'
import { lossGradient } from '../../converters/onnx/gradient/loss-gradient.ts'
import { resolve } from '../../converters/onnx/gradient/resolve.ts'
import { fixed } from '../../converters/onnx/gradient/sizes.ts'
import { Attributes, emptyGraph, type Model, modelOf } from '../../converters/onnx/graph.ts'
import { openSession } from '../../converters/onnx/runtime/open.ts'
import { sizeOf, Tensor } from '../../converters/onnx/tensor.ts'
import { BENCH_MODELS, type BenchModel } from './models.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 8)
const threads = Number(process.env.THREADS ?? availableParallelism())

/** Something that is timed once a round. */
interface Contestant {
  readonly name: string
  /** Runs once and says how many milliseconds it took. */
  run(): Promise<number>
  end(): Promise<void>
}

async function main(): Promise<void> {
  const wanted = process.argv.slice(2)
  const models = BENCH_MODELS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))
  const rows: string[] = []
  for (const model of models) rows.push(await bench(model))
  process.stdout.write(
    `${cpus()[0]?.model.trim()}, ${threads} threads, onnxruntime-node ${await onnxruntimeVersion()}; milliseconds, minima of ${ROUNDS} interleaved runs\n\n` +
      '| model | batch | forward | forward + gradient | floor | of the floor | PyTorch, folded | ratio | PyTorch, unfolded | ratio |\n' +
      `|${'---|'.repeat(10)}\n${rows.join('\n')}\n`,
  )
}

async function bench({ name, batch, size, build }: BenchModel): Promise<string> {
  const classifier = await prepareClassifier(build(), { batch })
  const gradient = await lossGradient(classifier, { loss: 'ce', batch })
  const flops = await arithmetic(classifier.model)
  const dims = [batch, 3, size, size]
  const image = Tensor.float32(dims, new Float32Array(sizeOf(dims)).map(Math.random))
  const label = Tensor.int64([batch], new BigInt64Array(batch))
  const rates = { convolution: convolutionRate(), product: productRate() }
  const contestants: Contestant[] = [
    await onnxruntime('forward', classifier.model, { x: image }),
    await onnxruntime('gradient', gradient, { x: image, label }),
    await onnxruntime('convolution', rates.convolution.model, rates.convolution.feeds),
    await onnxruntime('product', rates.product.model, rates.product.feeds),
    ...(await pytorch({ name, batch, size }, true)),
    ...(await pytorch({ name, batch, size }, false)),
  ]
  const best = new Map<string, number>()
  for (let round = 0; round <= ROUNDS; round++)
    for (const contestant of contestants) {
      const time = await contestant.run()
      // The first round pays page faults.
      if (round > 0) best.set(contestant.name, Math.min(time, best.get(contestant.name) ?? time))
    }
  for (const contestant of contestants) await contestant.end()
  const rate = Math.max(
    rates.convolution.flops / best.get('convolution')!,
    rates.product.flops / best.get('product')!,
  )
  const floor = (2 * flops) / rate
  const time = best.get('gradient')!
  const against = (other: string): string[] => {
    const found = best.get(other)
    return found === undefined ? ['–', '–'] : [found.toFixed(0), (time / found).toFixed(2)]
  }
  const cells = [
    ...[
      name,
      batch,
      best.get('forward')!.toFixed(0),
      time.toFixed(0),
      floor.toFixed(0),
      (time / floor).toFixed(2),
    ],
    ...against('PyTorch, folded'),
    ...against('PyTorch, unfolded'),
  ]
  process.stderr.write(
    `${name}: ${(flops / 1e9).toFixed(1)} GFLOP forward, best rate ${(rate / 1e6).toFixed(0)} GFLOP/s; ${cells.join(' ')}\n`,
  )
  return `| ${cells.join(' | ')} |`
}

async function onnxruntime(name: string, model: Model, feeds: Record<string, Tensor>): Promise<Contestant> {
  const session = await openSession(model, { threads })
  return {
    name,
    async run() {
      const start = performance.now()
      await session.run(feeds)
      return performance.now() - start
    },
    end: () => session.release(),
  }
}

/** Multiplications and additions of the convolutions and matrix products of one forward pass. */
async function arithmetic(model: Model): Promise<number> {
  const { facts } = await resolve(model)
  let total = 0
  for (const node of model.graph.nodes) {
    if (!['Conv', 'Gemm', 'MatMul'].includes(node.opType)) continue
    const output = sizeOf(fixed(facts.sizes(node.outputs[0]!), 'a size'))
    const [a, b] = node.inputs.map((input) => fixed(facts.sizes(input), 'a size')) as [number[], number[]]
    const transposed = new Attributes(node).int('transA', 0)
    total += 2 * output * (node.opType === 'Conv' ? sizeOf(b.slice(1)) : a.at(transposed ? -2 : -1)!)
  }
  return total
}

/** The arithmetic that suits this machine best. */
function convolutionRate() {
  const [n, c, size] = [8, 256, 28]
  const graph = emptyGraph('convolution')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: [n, c, size, size] })
  const b = new GraphBuilder(graph)
  const weights = b.floats([c, c, 3, 3], new Float32Array(c * c * 9).fill(0.01))
  const y = b.op('Conv', ['x', weights], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })
  graph.outputs.push({ name: y, dtype: 'float32', dims: null })
  const x = Tensor.float32([n, c, size, size], new Float32Array(n * c * size * size).fill(1))
  return { model: modelOf(graph), feeds: { x }, flops: 2 * n * c * size * size * c * 9 }
}

function productRate() {
  const size = 1536
  const graph = emptyGraph('product')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: [size, size] })
  const b = new GraphBuilder(graph)
  const y = b.op('MatMul', ['x', b.floats([size, size], new Float32Array(size * size).fill(0.01))])
  graph.outputs.push({ name: y, dtype: 'float32', dims: null })
  return {
    model: modelOf(graph),
    feeds: { x: Tensor.float32([size, size], new Float32Array(size * size).fill(1)) },
    flops: 2 * size ** 3,
  }
}

/** PyTorch in a process of its own; nothing if there is no PyTorch, or nothing to fold. */
async function pytorch(model: Omit<BenchModel, 'build'>, folded: boolean): Promise<Contestant[]> {
  if (!folded && model.name.startsWith('ViT')) return []
  const script = fileURLToPath(new URL('./gradient.py', import.meta.url))
  const child = spawn(process.env.PYTHON ?? 'python3', [script, String(threads)], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, OMP_NUM_THREADS: String(threads) },
  })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const failed = new Promise<true>((settle) => child.once('error', () => settle(true)))
  child.stdin!.on('error', () => {})
  child.stdin!.write(`${model.name}|${model.batch}|${model.size}|${folded ? 1 : 0}\n`)
  const ready = await Promise.race([lines.next(), failed])
  if (ready === true || ready.done) return []
  return [
    {
      name: `PyTorch, ${folded ? 'folded' : 'unfolded'}`,
      async run() {
        child.stdin!.write('\n')
        return Number((await lines.next()).value)
      },
      end: () => ended(child),
    },
  ]
}

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((settle) => {
    child.once('exit', () => settle())
    child.stdin!.end()
  })

async function onnxruntimeVersion(): Promise<string> {
  const { env } = await import('onnxruntime-node')
  return env.versions.node ?? 'unknown'
}

await main()
