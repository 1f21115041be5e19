import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GraphBuilder } from '../../../converters/onnx/builder.ts'
import { emptyGraph } from '../../../converters/onnx/graph.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { resnetSchema } from '../../../manifests/schema/recipe.ts'
import type { Engine, OptimiserStep, WeightSpec } from '../../../trainer/engines/engine.ts'
import type { EngineOptions } from '../../../trainer/engines/open.ts'
import { crossEntropy } from '../../../trainer/losses.ts'
import { objectiveOf, resnetNetwork } from '../../../trainer/network.ts'
import type { TrainingForm } from '../../../trainer/resnet/statistics.ts'

/** loss = (x · w + b - t)² summed over the outputs, with x [N,2], w [2,1], b [1]. */
function regression(): TrainingForm {
  const graph = emptyGraph('regression')
  graph.inputs.push(
    { name: 'x', dtype: 'float32', dims: ['N', 2] },
    { name: 't', dtype: 'float32', dims: ['N', 1] },
  )
  graph.initializers.set('dense/kernel', Tensor.float32([2, 1], [0, 0]))
  graph.initializers.set('dense/bias', Tensor.float32([1], [0]))
  graph.outputs.push({ name: 'loss', dtype: 'float32', dims: ['N'] })
  const b = new GraphBuilder(graph)
  b.ops('MatMul', ['x', 'dense/kernel'], {}, { outputs: ['product'] })
  const difference = b.op('Sub', [b.op('Add', ['product', 'dense/bias']), 't'])
  b.ops(
    'ReduceSum',
    [b.op('Mul', [difference, difference]), b.int64s([1])],
    { keepdims: 0 },
    { outputs: ['loss'] },
  )
  return { graph, statistics: [] }
}

const WEIGHTS: readonly WeightSpec[] = [
  { name: 'dense/kernel', role: 'kernel', value: Tensor.float32([2, 1], [1, -2]) },
  { name: 'dense/bias', role: 'affine', value: Tensor.float32([1], [0.5]) },
]

/** Predictions 1·1 - 2·2 + 0.5 = -2.5 and 3 - 8 + 0.5 = -4.5, so differences -3 and -6. */
const FEEDS = { x: Tensor.float32([2, 2], [1, 2, 3, 4]), t: Tensor.float32([2, 1], [0.5, 1.5]) }
/** Gradient of the mean loss: Σ 2·difference·x / 2. */
const KERNEL_GRADIENT = [-3 * 1 - 6 * 3, -3 * 2 - 6 * 4] as const
const BIAS_GRADIENT = -9

const PLAIN: OptimiserStep = {
  learningRate: 0.1,
  momentum: 0,
  nesterov: false,
  weightDecay: 0,
  gradientScale: 1,
}

const close = (actual: Tensor | undefined, expected: readonly number[], digits = 4): void => {
  expect(actual?.size).toBe(expected.length)
  for (const [i, value] of expected.entries()) expect(actual!.floats[i]).toBeCloseTo(value, digits)
}

/** What every implementation of `Engine` does. */
export function engineSuite(name: string, open: (options: EngineOptions) => Promise<Engine>): void {
  describe(name, () => {
    let engine: Engine
    beforeEach(async () => {
      engine = await open({ weights: WEIGHTS, statisticsMomentum: 0.9 })
    })
    afterEach(() => engine.dispose())

    it('computes outputs with its own weights, not the ones that stand in the graph', async () => {
      const { loss } = await engine.forward(regression(), FEEDS)
      close(loss, [9, 36])
    })

    it('differentiates the sum of a loss with respect to inputs and inner values', async () => {
      const { outputs, gradients } = await engine.gradient(regression(), FEEDS, {
        of: 'loss',
        withRespectTo: ['x', 'product'],
      })
      close(outputs.loss, [9, 36])
      close(gradients.x, [-6, 12, -12, 24])
      close(gradients.product, [-6, -12])
      expect(gradients.x!.dims).toEqual([2, 2])
    })

    it('steps along the gradient of the mean loss', async () => {
      const { outputs } = await engine.accumulate(regression(), FEEDS, { of: 'loss', weight: 1 })
      close(outputs.loss, [9, 36])
      await engine.update(PLAIN)
      const weights = await engine.weights()
      close(weights.get('dense/kernel'), [1 - 0.1 * KERNEL_GRADIENT[0], -2 - 0.1 * KERNEL_GRADIENT[1]])
      close(weights.get('dense/bias'), [0.5 - 0.1 * BIAS_GRADIENT])
    })

    it('gives gradients of inputs from the pass that accumulates those of weights', async () => {
      const request = { of: 'loss', weight: 1, withRespectTo: ['x'] }
      const { gradients } = await engine.accumulate(regression(), FEEDS, request)
      close(gradients.x, [-6, 12, -12, 24])
    })

    it('adds weighted passes up, scales them, and forgets them with the step', async () => {
      await engine.accumulate(regression(), FEEDS, { of: 'loss', weight: 0.5 })
      await engine.accumulate(regression(), FEEDS, { of: 'loss', weight: 1.5 })
      await engine.update({ ...PLAIN, gradientScale: 0.5 })
      await engine.update(PLAIN)
      close((await engine.weights()).get('dense/bias'), [0.5 - 0.1 * BIAS_GRADIENT])
    })

    it('decays kernels alone, and keeps momentum', async () => {
      const step = { ...PLAIN, momentum: 0.9, weightDecay: 0.01 }
      await engine.accumulate(regression(), FEEDS, { of: 'loss', weight: 1 })
      await engine.update(step)
      const first = KERNEL_GRADIENT[0] + 0.01 * 1
      close((await engine.weights()).get('dense/kernel'), [
        1 - 0.1 * first,
        -2 - 0.1 * (KERNEL_GRADIENT[1] - 0.02),
      ])
      close((await engine.weights()).get('dense/bias'), [0.5 - 0.1 * BIAS_GRADIENT])
      const state = await engine.state()
      close(state.get('momentum/dense/kernel'), [first, KERNEL_GRADIENT[1] - 0.02])
    })

    it('looks ahead with Nesterov momentum', async () => {
      await engine.accumulate(regression(), FEEDS, { of: 'loss', weight: 1 })
      await engine.update({ ...PLAIN, momentum: 0.9, nesterov: true })
      close((await engine.weights()).get('dense/bias'), [0.5 - 0.1 * 1.9 * BIAS_GRADIENT])
    })

    it('averages weights over steps', async () => {
      const step = { ...PLAIN, averaging: 0.75 }
      await engine.accumulate(regression(), FEEDS, { of: 'loss', weight: 1 })
      await engine.update(step)
      const moved = 0.5 - 0.1 * BIAS_GRADIENT
      close((await engine.weights()).get('dense/bias'), [moved])
      const averaged = await engine.weights(true)
      const first = averaged.get('dense/bias')!.floats[0]!
      await engine.update(step)
      // What the first average is (the start or the first step) is the engine's choice; the second follows from it.
      close((await engine.weights(true)).get('dense/bias'), [0.75 * first + 0.25 * moved])
    })

    it('perturbs kernels along the gradient by their own norm, and takes back exactly that', async () => {
      await engine.accumulate(regression(), FEEDS, { of: 'loss', weight: 1 })
      await engine.perturb(0.01)
      const length = (0.01 * Math.hypot(1, -2)) / Math.hypot(...KERNEL_GRADIENT)
      const perturbed = await engine.weights()
      close(perturbed.get('dense/kernel'), [
        1 + length * KERNEL_GRADIENT[0],
        -2 + length * KERNEL_GRADIENT[1],
      ])
      close(perturbed.get('dense/bias'), [0.5])
      await engine.restore()
      close((await engine.weights()).get('dense/kernel'), [1, -2], 6)
      await engine.update(PLAIN)
      close((await engine.weights()).get('dense/bias'), [0.5])
    })

    it('goes on from a state as if nothing had been in between', async () => {
      const step = { ...PLAIN, learningRate: 0.001, momentum: 0.9, averaging: 0.5 }
      const once = async (): Promise<void> => {
        await engine.accumulate(regression(), FEEDS, { of: 'loss', weight: 1 })
        await engine.update(step)
      }
      await once()
      const state = await engine.state()
      await once()
      const expected = await engine.state()
      await once()
      await engine.load(state)
      await once()
      const again = await engine.state()
      expect([...again.keys()].sort()).toEqual([...expected.keys()].sort())
      for (const [key, tensor] of expected) expect(again.get(key)!.floats).toEqual(tensor.floats)
    })

    it('keeps an accumulated gradient in its state, and forgets one that a state lacks', async () => {
      const before = await engine.state()
      await engine.accumulate(regression(), FEEDS, { of: 'loss', weight: 1 })
      const state = await engine.state()
      close(state.get('gradient/dense/kernel'), KERNEL_GRADIENT)
      await engine.load(before)
      await engine.update(PLAIN)
      close((await engine.weights()).get('dense/bias'), [0.5])
      await engine.load(state)
      await engine.update(PLAIN)
      close((await engine.weights()).get('dense/bias'), [0.5 - 0.1 * BIAS_GRADIENT])
      expect((await engine.state()).has('gradient/dense/kernel')).toBe(false)
    })

    it('refuses a state that lacks a weight', async () => {
      await expect(engine.load(new Map())).rejects.toMatchObject({ code: 'integrity' })
    })
  })

  describe(`${name}, on a residual network with batch norm`, () => {
    const spec = resnetSchema.parse({ family: 'resnet', form: 'small', depth: 8, width: 4, stemStride: 2 })
    const network = resnetNetwork(spec, [2, 8, 8], 3, 1)
    const objective = objectiveOf(network, 'main', crossEntropy)
    const image = Tensor.float32(
      [5, 2, 8, 8],
      Float32Array.from({ length: 640 }, (_, i) => (Math.sin(i * i) + 1) / 2),
    )
    const target = Tensor.float32([5, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0.5, 0.5, 0])
    let engine: Engine
    beforeEach(async () => {
      engine = await open({ weights: network.weights, statisticsMomentum: 0.9 })
    })
    afterEach(() => engine.dispose())

    it('moves running statistics in training passes, and in no others', async () => {
      const name = 'stem.norm/main/mean'
      await engine.gradient(objective.inference, { image, target }, { of: 'loss', withRespectTo: ['image'] })
      await engine.forward(objective.training, { image, target }, ['loss'])
      close((await engine.weights()).get(name), [0, 0, 0, 0])
      await engine.accumulate(objective.inference, { image, target }, { of: 'loss', weight: 1 })
      close((await engine.weights()).get(name), [0, 0, 0, 0])
      const form = objective.training
      const [, batchMean] = form.statistics.find(([running]) => running === name)!
      const stem = await engine.forward(form, { image, target }, ['stem.conv:out', batchMean])
      await engine.accumulate(form, { image, target }, { of: 'loss', weight: 1 })
      const values = stem['stem.conv:out']!
      const means = [0, 1, 2, 3].map((channel) => channelMean(values, channel))
      close(stem[batchMean], means)
      close(
        (await engine.weights()).get(name),
        means.map((mean) => 0.1 * mean),
      )
    })

    it('descends: steps on one batch lower its loss', async () => {
      const losses: number[] = []
      for (let i = 0; i < 12; i++) {
        const { outputs } = await engine.accumulate(
          objective.training,
          { image, target },
          { of: 'loss', weight: 1 },
        )
        losses.push(outputs.loss!.floats.reduce((sum, value) => sum + value, 0))
        await engine.update({ ...PLAIN, momentum: 0.9 })
      }
      expect(losses.at(-1)).toBeLessThan(losses[0]! / 2)
    })
  })
}

function channelMean(values: Tensor, channel: number): number {
  const [rows, channels, height, width] = values.dims as [number, number, number, number]
  let sum = 0
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < height * width; i++)
      sum += values.floats[(row * channels + channel) * height * width + i]!
  return sum / (rows * height * width)
}
