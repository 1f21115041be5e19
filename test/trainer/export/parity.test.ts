import { beforeAll, expect, it } from 'vitest'
import { foldBatchNorm } from '../../../converters/onnx/fold.ts'
import { type Model, modelOf } from '../../../converters/onnx/graph.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import type { ProgressEvent } from '../../../manifests/progress.ts'
import { inputSchema } from '../../../manifests/schema/input.ts'
import { resnetSchema } from '../../../manifests/schema/recipe.ts'
import type { Engine } from '../../../trainer/engines/engine.ts'
import { openEngine } from '../../../trainer/engines/open.ts'
import { differenceOf, squaredDistance } from '../../../trainer/export/difference.ts'
import { measureParity, type ParityRequest } from '../../../trainer/export/parity.ts'
import { crossEntropy } from '../../../trainer/losses.ts'
import { objectiveOf, resnetNetwork } from '../../../trainer/network.ts'
import { noise } from './saved-run.ts'

it('says how logits differ', () => {
  const reference = Float32Array.of(1, -4, 0, 2)
  expect(differenceOf(reference, Float32Array.of(1, -4, 0, 2), 2)).toEqual({
    largest: 0,
    mean: 0,
    otherClass: 0,
  })
  expect(differenceOf(reference, Float32Array.of(1, -3, 1, 0), 2)).toEqual({
    largest: 0.5,
    mean: 0.25,
    otherClass: 1,
  })
  expect(differenceOf(reference, Float32Array.of(1, Number.NaN, 0, 2), 2).largest).toBeNaN()
  expect(squaredDistance(Float32Array.of(3, 4, 9), Float32Array.of(3, 2, 7), 2)).toEqual({
    distance: 4,
    norm: 25,
  })
})

const spec = resnetSchema.parse({ family: 'resnet', form: 'small', depth: 8, width: 4 })
const network = resnetNetwork(spec, [3, 8, 8], 3, 1)
const unfolded = modelOf(network.graph('main'))
const folded: Model = { ...unfolded, graph: foldBatchNorm(unfolded.graph) }

/** The model with one of its weights changed. */
function withWeight(model: Model, name: string, change: (values: Float32Array) => Float32Array): Model {
  const initializers = new Map(model.graph.initializers)
  const tensor = initializers.get(name)!
  initializers.set(name, Tensor.float32(tensor.dims, change(tensor.floats)))
  return { ...model, graph: { ...model.graph, initializers } }
}

let engine: Engine
beforeAll(async () => {
  engine = await openEngine('wasm', { weights: network.weights, statisticsMomentum: 1 })
  return () => engine.dispose()
})

const measured = (models: Partial<ParityRequest['models']>, rest: Partial<ParityRequest> = {}) =>
  measureParity({
    engine,
    objective: objectiveOf(network, 'main', crossEntropy),
    models: { exported: folded, folded, unfolded, ...models },
    kernels: 'float32',
    input: inputSchema.parse({}),
    data: noise(100),
    ...rest,
  })

it('finds the same network equal, on as many images as asked, and reports its progress', async () => {
  const events: ProgressEvent[] = []
  const parity = await measured({}, { images: 70, progress: (event) => events.push(event) })
  expect(parity).toMatchObject({ images: 70, failures: [] })
  expect(events.map(({ done, total }) => [done, total])).toEqual([
    [64, 70],
    [70, 70],
  ])
})

it('finds a changed weight in the exported file', async () => {
  const changed = withWeight(folded, 'stem.conv/kernel', (values) => values.map((value) => value * 1.01))
  const { failures, folding, logits } = await measured({ exported: changed }, { images: 10 })
  expect(failures).toEqual([
    expect.stringMatching(/^logits differ by/),
    expect.stringMatching(/^gradients differ by/),
  ])
  expect(logits.largest).toBeGreaterThan(1e-3)
  expect(folding.largest).toBeLessThan(1e-5)
})

it('finds a fold that moved something', async () => {
  const changed = withWeight(folded, 'classifier/bias', (values) => values.map((value, k) => value + k))
  const { failures } = await measured({ folded: changed }, { images: 10 })
  expect(failures[0]).toMatch(/^folding moves logits by/)
  expect(failures[1]).toMatch(/^folding gives \d+ of 10 images another class/)
})

it('finds a description that does not fit the file', async () => {
  const { failures } = await measured({}, { images: 10, input: inputSchema.parse({ mean: [0.5] }) })
  expect(failures.length).toBeGreaterThan(0)
})

it('does not take a NaN for equal', async () => {
  const broken = withWeight(folded, 'classifier/bias', (values) => values.map(() => Number.NaN))
  const { failures } = await measured({ exported: broken }, { images: 10 })
  expect(failures).toContain('logits differ by NaN')
})
