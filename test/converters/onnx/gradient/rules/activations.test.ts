import { describe, expect, test } from 'vitest'
import { type AttributeValues, float, GraphBuilder } from '../../../../../converters/onnx/builder.ts'
import { differentiate } from '../../../../../converters/onnx/gradient/differentiate.ts'
import { emptyGraph, modelOf } from '../../../../../converters/onnx/graph.ts'
import { openSession } from '../../../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../../../converters/onnx/tensor.ts'
import { checkRule, type Variable } from '../check-rule.ts'
import { gradientOf } from '../gradient-of.ts'
import { awayFrom, batched, normal } from '../operands.ts'

interface Activation {
  readonly kinks: readonly number[]
  readonly attributes?: AttributeValues
  readonly opset?: number
}

const CASES: readonly (readonly [string, Activation])[] = [
  ['Relu', { kinks: [0] }],
  ['LeakyRelu', { kinks: [0] }],
  ['LeakyRelu', { kinks: [0], attributes: { alpha: float(-0.3) } }],
  ['ThresholdedRelu', { kinks: [0.4], attributes: { alpha: float(0.4) } }],
  ['Elu', { kinks: [0], attributes: { alpha: float(1.7) } }],
  ['Selu', { kinks: [0] }],
  ['Celu', { kinks: [0], attributes: { alpha: float(1.7) } }],
  ['Shrink', { kinks: [-0.5, 0.5], attributes: { lambd: float(0.5), bias: float(0.2) } }],
  ['Sigmoid', { kinks: [] }],
  ['HardSigmoid', { kinks: [-1, 1], attributes: { alpha: float(0.5) } }],
  ['HardSwish', { kinks: [-3, 3] }],
  ['Softplus', { kinks: [] }],
  ['Softsign', { kinks: [0] }],
  ['Mish', { kinks: [] }],
  ['Gelu', { kinks: [], opset: 20 }],
  ['Gelu', { kinks: [], opset: 20, attributes: { approximate: 'tanh' } }],
  ['Swish', { kinks: [], opset: 24, attributes: { alpha: float(1.3) } }],
]

test.each(CASES)('%s %j', async (op, { kinks, attributes = {}, opset }) => {
  const x = batched(awayFrom(kinks, [3, 20], 3))
  const wide: Variable = { ...x, values: x.values.map((value) => (op === 'HardSwish' ? value * 2.5 : value)) }
  await checkRule({ op, inputs: [kinks.length > 0 ? x : wide], attributes, ...(opset && { opset }) })
})

describe('PRelu', () => {
  test.each([[[3, 1, 1]], [[1]], [[2, 3, 2, 2]]])('with slopes of shape %j', (dims) =>
    checkRule({ op: 'PRelu', inputs: [awayFrom([0], [2, 3, 2, 2], 1), normal(dims, 2)] }),
  )
})

describe('Clip', () => {
  test('with two bounds, one, and none', async () => {
    const x = awayFrom([-0.5, 0.8], [4, 10], 5)
    const [low, high] = [Tensor.float32([], [-0.5]), Tensor.float32([], [0.8])]
    for (const inputs of [[x, low, high], [x, low], [x, null, high], [x]])
      await checkRule({ op: 'Clip', inputs })
  })
  test('bounds receive what they cut', () =>
    checkRule({
      op: 'Clip',
      inputs: [
        awayFrom([-0.5, 0.8], [4, 10], 5, 0.3),
        { dims: [], values: Float32Array.of(-0.5) },
        { dims: [], values: Float32Array.of(0.8) },
      ],
    }))
})

describe('ties', () => {
  const x = Float32Array.of(-1, 0, 1)
  test('Relu has slope 0 at 0', async () => {
    expect(await gradientOf('Relu', [x])).toEqual([0, 0, 1])
  })
  test('LeakyRelu has the slope from the left at 0', async () => {
    expect(await gradientOf('LeakyRelu', [x], { alpha: float(0.25) })).toEqual([0.25, 0.25, 1])
  })
  test('Clip passes the gradient at its edges', async () => {
    const bounds = [Tensor.float32([], [0]), Tensor.float32([], [1])]
    expect(await gradientOf('Clip', [x, ...bounds])).toEqual([0, 1, 1])
  })
  test('Clip as the activation of a convolution has slope 0 at its edges, as ReLU6', async () => {
    for (const provider of ['cpu', 'cuda'] as const) {
      const edges = [-1e-30, 0, 1e-30, 5.9999995, 6, 6.0000005, 1e30, -1e30]
      const graph = emptyGraph('relu6')
      graph.inputs.push({ name: 'x', dtype: 'float32', dims: [8, 1, 1, 1] })
      const b = new GraphBuilder(graph)
      const y = b.op('Conv', ['x', b.floats([1, 1, 1, 1], [1])])
      b.op('Clip', [y, b.scalar(0), b.scalar(6)], {}, { outputs: ['y'] })
      const model = await differentiate(modelOf(graph), { of: 'y', withRespectTo: ['x'], provider })
      const session = await openSession(model)
      const { 'gradient/x': gradient } = await session.run({ x: Tensor.float32([8, 1, 1, 1], edges) })
      expect(gradient!.numbers).toEqual([0, 0, 1, 1, 0, 0, 0, 0])
      await session.release()
    }
  })
  test('Abs has slope 0 at 0', async () => {
    expect(await gradientOf('Abs', [x])).toEqual([-1, 0, 1])
  })
  test('Max shares evenly', async () => {
    expect(await gradientOf('Max', [x, Tensor.float32([3], [0, 0, 0])])).toEqual([0, 0.5, 1])
  })
  test('ReduceMax shares evenly', async () => {
    expect(await gradientOf('ReduceMax', [Float32Array.of(3, 1, 3)], { keepdims: 0 })).toEqual([0.5, 0, 0.5])
  })
  test('MaxPool gives all to the first', async () => {
    const image = Float32Array.of(2, 2, 1, 2)
    const attributes = { kernel_shape: [2, 2] }
    expect(await gradientOf('MaxPool', [image], attributes, [1, 1, 2, 2])).toEqual([1, 0, 0, 0])
  })
})
