/**
 * `npm run bench:train [-- MODEL...]`: images per second of adversarial training on this machine's CPU.
 *
 * One step is what the method `pgd-at` does with a batch of 64 images of 3x32x32: seven steps of PGD, then a step of
 * SGD with momentum. The engines that load here and, where Python can import torch (`PYTHON` names it), PyTorch each have
 * a process; their steps are interleaved so that all meet the same noise, and the fastest of several counts. CPU time
 * is given beside, for machines whose cores are shared.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROUNDS = Number(process.env.ROUNDS ?? 4)
const THREADS = Number(process.env.THREADS ?? availableParallelism())
const BATCH = 64
const MODELS: Readonly<Record<string, number>> = { 'ResNet-8': 8, 'ResNet-20': 20 }

interface Cost {
  /** Milliseconds of one step, and of processor time in it. */
  readonly wall: number
  readonly cpu: number
}

/** A process that takes one training step for each empty line. */
interface Contestant {
  readonly name: string
  step(): Promise<Cost>
  end(): Promise<void>
}

async function main(): Promise<void> {
  const wanted = process.argv.slice(2)
  const rows: string[] = []
  for (const [model, depth] of Object.entries(MODELS))
    if (wanted.length === 0 || wanted.includes(model)) rows.push(...(await bench(model, depth)))
  process.stdout.write(
    `${cpus()[0]?.model.trim()}, ${THREADS} threads; PGD-7 and a step, batch ${BATCH}, best of ${ROUNDS} interleaved steps\n\n` +
      '| model | engine | images/s | of PyTorch | images per CPU second | of PyTorch |\n' +
      `|${'---|'.repeat(6)}\n${rows.join('\n')}\n`,
  )
}

async function bench(model: string, depth: number): Promise<string[]> {
  const contestants = (
    await Promise.all([...['ort', 'wasm', 'node'].map((backend) => engine(backend, depth)), python(depth)])
  ).flat()
  const best = new Map<string, Cost>()
  for (let round = 0; round <= ROUNDS; round++)
    for (const contestant of contestants) {
      const cost = await contestant.step()
      const { wall, cpu } = best.get(contestant.name) ?? { wall: Infinity, cpu: Infinity }
      // The first round builds graphs and pays page faults.
      if (round > 0)
        best.set(contestant.name, { wall: Math.min(wall, cost.wall), cpu: Math.min(cpu, cost.cpu) })
    }
  for (const contestant of contestants) await contestant.end()
  const torch = best.get('PyTorch')
  return [...best].map(([name, { wall, cpu }]) => {
    const rate = (milliseconds: number): string => ((1000 * BATCH) / milliseconds).toFixed(1)
    const of = (time: number, other: number | undefined): string =>
      other === undefined ? '–' : `${(other / time).toFixed(2)}x`
    const row = [model, name, rate(wall), of(wall, torch?.wall), rate(cpu), of(cpu, torch?.cpu)]
    process.stderr.write(`${row.join('  ')}\n`)
    return `| ${row.join(' | ')} |`
  })
}

const engine = (backend: string, depth: number): Promise<Contestant[]> => {
  const script = fileURLToPath(new URL('./train-engine.ts', import.meta.url))
  return contestant(backend, process.execPath, [
    '--import',
    import.meta.resolve('tsx'),
    script,
    backend,
    String(depth),
    String(BATCH),
  ])
}

const python = (depth: number): Promise<Contestant[]> => {
  const script = fileURLToPath(new URL('./train.py', import.meta.url))
  return contestant('PyTorch', process.env.PYTHON ?? 'python3', [
    script,
    String(depth),
    String(BATCH),
    String(THREADS),
  ])
}

/** The process once it is ready; nothing if it can't be. */
async function contestant(name: string, command: string, argv: readonly string[]): Promise<Contestant[]> {
  const child = spawn(command, argv, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, OMP_NUM_THREADS: String(THREADS) },
  })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const failed = new Promise<true>((settle) => child.once('error', () => settle(true)))
  child.stdin!.on('error', () => {})
  const ready = await Promise.race([lines.next(), failed])
  if (ready === true || ready.done) {
    process.stderr.write(`${name} does not start here\n`)
    return []
  }
  const step = async (): Promise<Cost> => {
    child.stdin!.write('\n')
    const [wall, cpu] = String((await lines.next()).value)
      .split(' ')
      .map(Number)
    return { wall: wall!, cpu: cpu! }
  }
  return [{ name, step, end: () => ended(child) }]
}

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((settle) => {
    child.once('exit', () => settle())
    child.stdin!.end()
  })

await main()
