import { float, GraphBuilder } from '../../converters/onnx/builder.ts'
import { emptyGraph, type Graph } from '../../converters/onnx/graph.ts'
import { Tensor } from '../../converters/onnx/tensor.ts'
import { keyOf, uniforms } from '../../converters/perturb/random.ts'
import { ZooError } from '../../manifests/error.ts'
import { crossEntropy } from '../losses.ts'
import { batchStatistics, runningStatistics } from '../resnet/statistics.ts'
import type { Engine, WeightSpec } from './engine.ts'
import { type Backend, openEngine } from './open.ts'

export interface SelfTest {
  /** What was compared with tfjs's cpu backend, which is plain JavaScript. */
  readonly tensors: number
  /** Largest difference, relative to the largest value of its tensor. */
  readonly largest: number
}

const TOLERANCE = 1e-4

const ROLES = {
  kernel: 'kernel',
  scale: 'affine',
  bias: 'affine',
  mean: 'statistic',
  variance: 'statistic',
} as const

/** Weight shapes of the network below: what a residual network is made of, in small. */
const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'stem/kernel': [4, 3, 5, 5],
  'norm1/main/scale': [4],
  'norm1/main/bias': [4],
  'norm1/main/mean': [4],
  'norm1/main/variance': [4],
  'conv/kernel': [6, 4, 3, 3],
  'norm2/main/scale': [6],
  'norm2/main/bias': [6],
  'norm2/main/mean': [6],
  'norm2/main/variance': [6],
  'shortcut/kernel': [6, 4, 1, 1],
  'classifier/kernel': [5, 6],
  'classifier/bias': [5],
}

const values = (name: string, dims: readonly number[]): Tensor => {
  const size = dims.reduce((all, dim) => all * dim, 1)
  // Around 0, except for what is divided by or multiplies.
  const middle = /scale$|variance$/.test(name) ? 0.5 : -0.5
  return Tensor.float32(
    dims,
    uniforms([keyOf(name)], size).map((value) => value + middle),
  )
}

/** Smooth activations: kinks would make rounding large. */
function network(): Graph {
  const graph = emptyGraph('self-test')
  graph.inputs.push({ name: 'image', dtype: 'float32', dims: ['N', 3, 12, 13] })
  graph.outputs.push({ name: 'logits', dtype: 'float32', dims: ['N', 5] })
  for (const [name, dims] of Object.entries(SHAPES)) graph.initializers.set(name, values(name, dims))
  const b = new GraphBuilder(graph)
  const norm = (x: string, layer: string): string =>
    b.op(
      'BatchNormalization',
      [x, ...['scale', 'bias', 'mean', 'variance'].map((part) => `${layer}/main/${part}`)],
      { epsilon: float(1e-3) },
    )
  const stem = b.op('Conv', ['image', 'stem/kernel'], { strides: [1, 1], pads: [2, 2, 2, 2] })
  const active = b.op('Softplus', [norm(stem, 'norm1')])
  const pooled = b.op('MaxPool', [active], { kernel_shape: [3, 3], strides: [2, 2], pads: [0, 0, 1, 1] })
  const conv = b.op('Conv', [pooled, 'conv/kernel'], { strides: [2, 2], pads: [1, 1, 1, 1] })
  const shortcut = b.op('Conv', [pooled, 'shortcut/kernel'], { strides: [2, 2] })
  const sum = b.op('Softplus', [b.op('Add', [norm(conv, 'norm2'), shortcut])])
  const flat = b.op('Flatten', [b.op('GlobalAveragePool', [sum])])
  b.ops('Gemm', [flat, 'classifier/kernel', 'classifier/bias'], { transB: 1 }, { outputs: ['logits'] })
  return graph
}

/**
 * Trains a small residual network for two steps and attacks it, and compares every number with tfjs's cpu backend:
 * convolutions, pooling, matrix products, batch norm, and their gradients.
 *
 * @throws ZooError `backend-unavailable` when the backend doesn't start or computes something else
 */
export async function selfTest(backend: Exclude<Backend, 'auto'>): Promise<SelfTest> {
  const actual = await answers(backend)
  const expected = await answers('cpu')
  let largest = 0
  for (const [name, tensor] of expected) {
    const difference = relative(actual.get(name)!.floats, tensor.floats)
    // Written so that a NaN fails.
    if (!(difference <= TOLERANCE))
      throw new ZooError(
        'backend-unavailable',
        `the ${backend} backend computes ${name} wrongly: it differs by ${difference.toExponential(1)}`,
      )
    largest = Math.max(largest, difference)
  }
  return { tensors: expected.size, largest }
}

async function answers(backend: Exclude<Backend, 'auto'>): Promise<Map<string, Tensor>> {
  const graph = network()
  const weights = Object.entries(SHAPES).map(([name, dims]): WeightSpec => {
    const kind = name.slice(name.lastIndexOf('/') + 1) as keyof typeof ROLES
    return { name, value: values(name, dims), role: ROLES[kind] }
  })
  const engine = await openEngine(backend, { weights, statisticsMomentum: 0.9 })
  try {
    return await exercise(engine, graph)
  } finally {
    engine.dispose()
  }
}

async function exercise(engine: Engine, graph: Graph): Promise<Map<string, Tensor>> {
  const batch = batchStatistics(graph)
  const training = { graph: crossEntropy(batch.graph), statistics: batch.statistics }
  const feeds = {
    image: Tensor.float32([4, 3, 12, 13], uniforms([1], 4 * 3 * 12 * 13)),
    target: Tensor.float32([4, 5], uniforms([2], 20)),
  }
  const answers = new Map<string, Tensor>()
  for (let i = 0; i < 2; i++) {
    const { outputs } = await engine.accumulate(training, feeds, { of: 'loss', weight: 1 })
    answers.set(`the loss of step ${i + 1}`, outputs.loss!)
    await engine.update({
      learningRate: 0.05,
      momentum: 0.9,
      nesterov: true,
      weightDecay: 1e-3,
      gradientScale: 1,
    })
  }
  for (const [name, tensor] of await engine.state()) answers.set(name, tensor)
  const request = { of: 'loss', withRespectTo: ['image'] }
  const attack = await engine.gradient(runningStatistics(crossEntropy(graph)), feeds, request)
  return answers
    .set('logits', attack.outputs.logits!)
    .set('the gradient of the image', attack.gradients.image!)
}

function relative(actual: Float32Array, expected: Float32Array): number {
  let [largest, scale] = [0, 1e-9]
  for (const [i, value] of expected.entries()) {
    scale = Math.max(scale, Math.abs(value))
    const difference = Math.abs(value - (actual[i] ?? Number.NaN))
    if (!(difference <= largest)) largest = difference
  }
  return largest / scale
}
