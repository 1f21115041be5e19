import { describe, expect, it } from 'vitest'
import { type AttributeValues, float, GraphBuilder } from '../../../../converters/onnx/builder.ts'
import { emptyGraph } from '../../../../converters/onnx/graph.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { uniforms } from '../../../../converters/perturb/random.ts'
import { OnnxruntimeEngine } from '../../../../trainer/engines/onnxruntime/engine.ts'
import { openEngine } from '../../../../trainer/engines/open.ts'
import { RULES } from '../../../../trainer/engines/tfjs/rules/table.ts'
import { runningStatistics, type TrainingForm } from '../../../../trainer/resnet/statistics.ts'

interface Case {
  readonly op: string
  /** What is tried, where one operator has several cases. */
  readonly what?: string
  readonly attributes?: AttributeValues
  /** Shape of the first input; [2, 4, 6, 6] unless given. */
  readonly shape?: readonly number[]
  /** The other inputs, as constants; null is an absent one. */
  readonly others?: readonly (Tensor | null)[]
  readonly outputs?: number
  /** Put before the operator, so that it sees channels-last values, or in their own order. */
  readonly before?: 'Conv' | 'nothing'
  /** Added to the values between -0.5 and 0.5 of the first input. */
  readonly offset?: number
}

const IMAGE = [2, 4, 6, 6] as const
const floats = (dims: readonly number[], seed = 9): Tensor =>
  Tensor.float32(
    dims,
    uniforms(
      [seed],
      dims.reduce((all, dim) => all * dim, 1),
    ).map((value) => value - 0.4),
  )
const int64s = (...values: number[]): Tensor => Tensor.int64([values.length], values)
const scalar = (value: number): Tensor => Tensor.float32([], [value])

const CASES: readonly Case[] = [
  { op: 'Conv', attributes: { pads: [1, 1, 1, 1] }, others: [floats([3, 4, 3, 3]), floats([3])] },
  {
    op: 'Conv',
    what: 'stride',
    attributes: { strides: [2, 2], pads: [0, 1, 1, 0] },
    others: [floats([3, 4, 3, 3])],
  },
  { op: 'Conv', what: 'groups', attributes: { group: 2 }, others: [floats([6, 2, 3, 3]), floats([6])] },
  { op: 'Conv', what: 'depthwise', attributes: { group: 4 }, others: [floats([4, 1, 3, 3])] },
  { op: 'Conv', what: 'dilation', attributes: { dilations: [2, 1] }, others: [floats([3, 4, 2, 3])] },
  { op: 'Conv', what: 'SAME', attributes: { auto_pad: 'SAME_LOWER' }, others: [floats([3, 4, 2, 2])] },
  { op: 'MaxPool', attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } },
  { op: 'AveragePool', attributes: { kernel_shape: [2, 3], strides: [1, 2] } },
  { op: 'AveragePool', what: 'padding', attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } },
  {
    op: 'AveragePool',
    what: 'counted padding',
    attributes: { kernel_shape: [3, 3], pads: [1, 0, 1, 0], count_include_pad: 1 },
  },
  { op: 'GlobalAveragePool' },
  {
    op: 'BatchNormalization',
    others: [floats([4]), floats([4]), floats([4]), Tensor.float32([4], [1, 2, 0.5, 1])],
  },
  { op: 'InstanceNormalization', others: [floats([4]), floats([4])] },
  { op: 'LayerNormalization', attributes: { axis: -1 }, others: [floats([6]), floats([6])] },
  { op: 'LRN', attributes: { size: 3, alpha: float(0.2) } },
  { op: 'Add', others: [floats([4, 1, 1])] },
  { op: 'Add', what: 'a scalar', others: [scalar(2)] },
  { op: 'Sub', others: [floats([1, 4, 6, 6])] },
  { op: 'Mul', others: [floats([6])] },
  { op: 'Div', others: [Tensor.float32([4, 1, 1], [1, 2, -3, 4])] },
  { op: 'Pow', others: [scalar(3)], before: 'nothing', offset: 1 },
  { op: 'Sum', others: [floats([4, 1, 1]), floats([6])] },
  { op: 'Max', others: [scalar(0.1)] },
  { op: 'Min', others: [floats([4, 1, 1])] },
  { op: 'Relu' },
  { op: 'LeakyRelu', attributes: { alpha: float(0.2) } },
  { op: 'PRelu', others: [floats([4, 1, 1])] },
  { op: 'Elu', attributes: { alpha: float(0.7) } },
  { op: 'HardSigmoid', attributes: { alpha: float(0.3) } },
  { op: 'HardSwish' },
  { op: 'Clip', others: [scalar(-0.2), scalar(0.3)] },
  { op: 'Clip', what: 'without a lower bound', others: [null, scalar(0.3)] },
  { op: 'Sigmoid' },
  { op: 'Softplus' },
  { op: 'Tanh' },
  { op: 'Exp' },
  { op: 'Erf' },
  { op: 'Log', before: 'nothing', offset: 1 },
  { op: 'Sqrt', before: 'nothing', offset: 1 },
  { op: 'Reciprocal', before: 'nothing', offset: 2 },
  { op: 'Neg' },
  { op: 'Abs' },
  { op: 'Identity' },
  { op: 'Dropout' },
  { op: 'Cast', attributes: { to: 1 } },
  {
    op: 'Gemm',
    shape: [2, 5],
    attributes: { transB: 1, alpha: float(0.5) },
    others: [floats([3, 5]), floats([3])],
  },
  { op: 'MatMul', shape: [2, 3, 4, 5], before: 'nothing', others: [floats([5, 2])] },
  { op: 'Softmax', attributes: { axis: 1 } },
  { op: 'LogSoftmax', shape: [2, 7], attributes: { axis: -1 } },
  { op: 'ReduceSum', others: [int64s(2, 3)], attributes: { keepdims: 0 } },
  { op: 'ReduceMean', others: [int64s(1)] },
  { op: 'ReduceMax', others: [int64s(2, 3)] },
  { op: 'Reshape', others: [int64s(0, 2, -1)] },
  { op: 'Flatten', attributes: { axis: 2 } },
  { op: 'Transpose', attributes: { perm: [0, 2, 3, 1] } },
  { op: 'Concat', attributes: { axis: 1 }, others: [floats([2, 1, 6, 6])] },
  { op: 'Squeeze', shape: [2, 4, 1, 1], others: [int64s(2, 3)] },
  { op: 'Unsqueeze', shape: [2, 4], others: [int64s(2, -1)] },
  { op: 'Pad', others: [int64s(0, 0, 1, 2, 0, 1, 0, 3), scalar(0.5)] },
  { op: 'Slice', others: [int64s(1, -4), int64s(3, 1e9), int64s(1, 3)] },
  { op: 'Split', attributes: { axis: 1 }, others: [int64s(1, 3)], outputs: 2 },
]

/** A graph with one operator, and the loss Σ (y² + y) [N] of its (last) result. */
function form({ op, attributes = {}, shape = IMAGE, others = [], outputs = 1, before }: Case): TrainingForm {
  const graph = emptyGraph(op)
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: [...shape] })
  const b = new GraphBuilder(graph)
  const channelsLast = shape.length === 4 && before !== 'nothing'
  const kernel = Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0.1))
  const x = channelsLast ? b.op('Conv', ['x', b.floats([4, 4, 1, 1], kernel)]) : 'x'
  const constants = others.map((tensor) => (tensor ? b.initializer(tensor) : ''))
  const y = b.ops(op, [x, ...constants], attributes, { outputs }).at(-1)!
  const flat = b.op('Flatten', [y])
  const terms = b.op('Add', [b.op('Mul', [flat, flat]), flat])
  b.ops('ReduceSum', [terms, b.int64s([1])], { keepdims: 0 }, { outputs: ['loss'] })
  graph.outputs.push(
    { name: y, dtype: 'float32', dims: null },
    { name: 'loss', dtype: 'float32', dims: [shape[0]!] },
  )
  return runningStatistics(graph)
}

function expectClose(actual: Tensor, expected: Tensor): void {
  expect(actual.dims).toEqual(expected.dims)
  const scale = expected.floats.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
  for (const [i, value] of expected.floats.entries())
    expect(Math.abs(actual.floats[i]! - value)).toBeLessThan(1e-4 * scale)
}

describe.each(['cpu', 'wasm'] as const)('rules on %s', (backend) => {
  it.each(CASES)(
    '$op $what: as onnxruntime computes it, and its gradient as its own rules do',
    async (tried) => {
      const shape = tried.shape ?? IMAGE
      const graph = form(tried)
      const values = floats(shape, 3).floats.map((value) => value - 0.1 + (tried.offset ?? 0))
      const feeds = { x: Tensor.float32(shape, values) }
      const request = { of: 'loss', withRespectTo: ['x'] }
      const options = { weights: [], statisticsMomentum: 1 }
      const [engine, reference] = [await openEngine(backend, options), new OnnxruntimeEngine(options)]
      const [actual, expected] = [
        await engine.gradient(graph, feeds, request),
        await reference.gradient(graph, feeds, request),
      ]
      for (const [name, tensor] of Object.entries(expected.outputs))
        expectClose(actual.outputs[name]!, tensor)
      expectClose(actual.gradients.x!, expected.gradients.x!)
      engine.dispose()
      reference.dispose()
    },
  )
})

it('tries every rule', () => {
  const tried = new Set(CASES.map(({ op }) => op))
  // Joined operators are covered by whole networks; Gelu came with a later opset than graphs are built in.
  const left = Object.keys(RULES).filter((name) => !tried.has(name) && !name.startsWith('zoo.'))
  expect(left).toEqual(['Gelu'])
})

it('names every operator that it has no rule for', async () => {
  const graph = emptyGraph('unknown')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: [2] })
  const b = new GraphBuilder(graph)
  b.ops('Sin', [b.op('Atan', ['x'], {}, { name: 'odd' })], {}, { outputs: ['y'], name: 'odder' })
  graph.outputs.push({ name: 'y', dtype: 'float32', dims: [2] })
  const engine = await openEngine('cpu', { weights: [], statisticsMomentum: 1 })
  await expect(engine.forward(runningStatistics(graph), { x: floats([2]) })).rejects.toMatchObject({
    code: 'unsupported-model',
    message: expect.stringMatching(/Atan "odd".*Sin "odder"/),
  })
})
