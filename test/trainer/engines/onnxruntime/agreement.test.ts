import { describe, expect, it } from 'vitest'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { normals, uniforms } from '../../../../converters/perturb/random.ts'
import { type NormSpec, resnetSchema } from '../../../../manifests/schema/recipe.ts'
import type { Engine, OptimiserStep } from '../../../../trainer/engines/engine.ts'
import { OnnxruntimeEngine } from '../../../../trainer/engines/onnxruntime/engine.ts'
import { useBackend } from '../../../../trainer/engines/tfjs/backend.ts'
import { TfjsEngine } from '../../../../trainer/engines/tfjs/engine.ts'
import { crossEntropy } from '../../../../trainer/losses.ts'
import { type Network, objectiveOf, resnetNetwork } from '../../../../trainer/network.ts'

const SHAPE = [3, 8, 8] as const
const CLASSES = 5
const BATCH = 6

function network(norm: NormSpec, activation: 'relu' | 'silu' = 'relu'): Network {
  const spec = resnetSchema.parse({
    family: 'resnet',
    form: 'small',
    depth: 8,
    width: 4,
    norm,
    activation,
    mean: [0.5, 0.4, 0.6],
    std: [0.25],
  })
  return resnetNetwork(spec, SHAPE, CLASSES, 7)
}

/** First weights are full of zeros and ones, which hide mistakes. */
const stirred = ({ weights }: Network) =>
  weights.map(({ name, role, value }, i) => ({
    name,
    role,
    value:
      role === 'kernel'
        ? value
        : Tensor.float32(
            value.dims,
            normals([i], value.size).map((noise, k) => value.floats[k]! + 0.2 * Math.abs(noise)),
          ),
  }))

const feeds = {
  image: Tensor.float32([BATCH, ...SHAPE], uniforms([1], BATCH * 192)),
  target: Tensor.float32(
    [BATCH, CLASSES],
    Float32Array.from({ length: BATCH * CLASSES }, (_, i) => (i % CLASSES === 2 ? 0.6 : 0.1)),
  ),
}

const STEP: OptimiserStep = {
  learningRate: 0.05,
  momentum: 0.9,
  nesterov: true,
  weightDecay: 5e-3,
  gradientScale: 0.5,
  averaging: 0.8,
}

const NORMS: readonly NormSpec[] = [
  { kind: 'batch' },
  { kind: 'mixture', separate: 'both' },
  { kind: 'group', groups: 2 },
  { kind: 'instance' },
  { kind: 'none' },
]

async function engines(of: Network): Promise<{ ort: Engine; tfjs: Engine }> {
  await useBackend('cpu')
  const options = { weights: stirred(of), statisticsMomentum: 0.9 }
  return { ort: new OnnxruntimeEngine(options), tfjs: new TfjsEngine({ ...options, backend: 'cpu' }) }
}

/** |a - b| / |b|, or |a| where b is nothing. */
function difference(a: Tensor, b: Tensor): number {
  const length = (values: Float32Array) => Math.hypot(...values)
  return length(a.floats.map((value, i) => value - b.floats[i]!)) / (length(b.floats) || 1)
}

function expectSame(a: ReadonlyMap<string, Tensor>, b: ReadonlyMap<string, Tensor>, within = 1e-4): void {
  expect([...a.keys()].sort()).toEqual([...b.keys()].sort())
  for (const [name, tensor] of a) {
    expect(tensor.dims, name).toEqual(b.get(name)!.dims)
    expect(difference(tensor, b.get(name)!), name).toBeLessThan(within)
  }
}

const entries = (values: Readonly<Record<string, Tensor>>) => new Map(Object.entries(values))

describe('onnxruntime and tfjs, from the same weights on the same batch', () => {
  it.each(NORMS)('agree with norm $kind', async (norm) => {
    const net = network(norm)
    const { ort, tfjs } = await engines(net)
    for (const branch of net.branches) {
      const { inference, training } = objectiveOf(net, branch, crossEntropy)
      const request = { of: 'loss', withRespectTo: ['image'] }
      const [a, b] = [
        await ort.gradient(inference, feeds, request),
        await tfjs.gradient(inference, feeds, request),
      ]
      expectSame(entries(a.outputs), entries(b.outputs))
      expectSame(entries(a.gradients), entries(b.gradients))
      const accumulation = { of: 'loss', weight: 0.7, withRespectTo: ['image'] }
      const [c, d] = [
        await ort.accumulate(training, feeds, accumulation),
        await tfjs.accumulate(training, feeds, accumulation),
      ]
      expectSame(entries(c.outputs), entries(d.outputs))
      expectSame(entries(c.gradients), entries(d.gradients))
    }
    const before = await ort.state()
    for (const branch of net.branches) {
      const { training } = objectiveOf(net, branch, crossEntropy)
      await ort.forward(training, feeds, ['loss'])
      await ort.gradient(training, feeds, { of: 'loss', withRespectTo: ['image'] })
    }
    for (const [name, tensor] of await ort.state())
      expect(tensor.floats, name).toEqual(before.get(name)!.floats)
    for (let step = 0; step < 2; step++) {
      for (const engine of [ort, tfjs]) await engine.update(STEP)
      // Momentum after the first step is the gradient.
      expectSame(await ort.state(), await tfjs.state())
      const { training } = objectiveOf(net, net.branches[0]!, crossEntropy)
      for (const engine of [ort, tfjs]) await engine.accumulate(training, feeds, { of: 'loss', weight: 1 })
    }
    expectSame(await ort.weights(true), await tfjs.weights(true))
    ort.dispose()
    tfjs.dispose()
  })

  it('agree when trained by frozen running statistics, through folded batch norm', async () => {
    const net = network({ kind: 'batch' }, 'silu')
    const { ort, tfjs } = await engines(net)
    const { inference } = objectiveOf(net, 'main', crossEntropy)
    for (const engine of [ort, tfjs]) {
      await engine.accumulate(inference, feeds, { of: 'loss', weight: 1 })
      await engine.update(STEP)
    }
    expectSame(await ort.state(), await tfjs.state())
    const statistics = net.weights.filter(({ role }) => role === 'statistic')
    const now = await ort.weights()
    const before = new Map(stirred(net).map(({ name, value }) => [name, value]))
    for (const { name } of statistics) expect(now.get(name)!.floats).toEqual(before.get(name)!.floats)
    ort.dispose()
    tfjs.dispose()
  })

  it('perturb weights alike, and take that back', async () => {
    const net = network({ kind: 'batch' })
    const { ort, tfjs } = await engines(net)
    const { training } = objectiveOf(net, 'main', crossEntropy)
    const before = await ort.weights()
    for (const engine of [ort, tfjs]) {
      await engine.accumulate(training, feeds, { of: 'loss', weight: 1 })
      await engine.perturb(0.1)
    }
    expectSame(await ort.weights(), await tfjs.weights())
    const kernel = 'stage2.block1.conv1/kernel'
    expect(difference((await ort.weights()).get(kernel)!, before.get(kernel)!)).toBeCloseTo(0.1, 5)
    for (const engine of [ort, tfjs]) await engine.restore()
    expect(difference((await ort.weights()).get(kernel)!, before.get(kernel)!)).toBeLessThan(1e-6)
    expectSame(await ort.weights(), await tfjs.weights())
    ort.dispose()
    tfjs.dispose()
  })

  it("go on from each other's checkpoints", async () => {
    const net = network({ kind: 'batch' })
    const { training } = objectiveOf(net, 'main', crossEntropy)
    const { ort, tfjs } = await engines(net)
    const advance = async (engine: Engine) => {
      await engine.accumulate(training, feeds, { of: 'loss', weight: 1 })
      await engine.update(STEP)
    }
    await advance(ort)
    const checkpoint = await ort.state()
    await advance(ort)
    await tfjs.load(checkpoint)
    await advance(tfjs)
    expectSame(await ort.state(), await tfjs.state())
    const other = await tfjs.state()
    await advance(tfjs)
    await ort.load(other)
    await advance(ort)
    expectSame(await ort.state(), await tfjs.state())
    ort.dispose()
    tfjs.dispose()
  })
})
