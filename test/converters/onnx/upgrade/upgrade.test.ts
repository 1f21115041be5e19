import { describe, expect, it } from 'vitest'
import { type AttributeValues, float, GraphBuilder } from '../../../../converters/onnx/builder.ts'
import { emptyGraph, type Model, modelOf, type Node } from '../../../../converters/onnx/graph.ts'
import { normalise } from '../../../../converters/onnx/normalise.ts'
import { openSession } from '../../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'

interface Case {
  readonly op: string
  readonly opset: number
  readonly dims: readonly number[]
  readonly attributes?: AttributeValues
  /** Constants that follow the input. */
  readonly rest?: readonly Tensor[]
  readonly outputs?: number
  /** Operators that the upgraded model may consist of; by default just `op`. */
  readonly becomes?: readonly string[]
}

const f = (dims: readonly number[], ...values: number[]): Tensor => Tensor.float32(dims, values)
const i = (...values: number[]): Tensor => Tensor.int64([values.length], values)
const pads = [0, 0, 1, 1, 0, 0, 0, 2]

const CASES: readonly Case[] = [
  { op: 'Squeeze', opset: 11, dims: [1, 3, 1], attributes: { axes: [0, 2] } },
  { op: 'Squeeze', opset: 11, dims: [1, 3, 1] },
  { op: 'Unsqueeze', opset: 11, dims: [3], attributes: { axes: [0, 2] } },
  { op: 'ReduceSum', opset: 11, dims: [2, 3, 4], attributes: { axes: [1], keepdims: 0 } },
  { op: 'ReduceMean', opset: 17, dims: [2, 3, 4], attributes: { axes: [-1] } },
  { op: 'ReduceL2', opset: 7, dims: [2, 3, 4], attributes: { axes: [0, 2] } },
  { op: 'ReduceLogSumExp', opset: 13, dims: [2, 3, 4] },
  {
    op: 'Slice',
    opset: 9,
    dims: [4, 5],
    attributes: { starts: [1, 0], ends: [3, 9223372036854775807n as never] },
  },
  { op: 'Slice', opset: 9, dims: [4, 5], attributes: { axes: [1], starts: [-3], ends: [-1] } },
  { op: 'TopK', opset: 9, dims: [3, 5], attributes: { k: 2 }, outputs: 2 },
  { op: 'Pad', opset: 10, dims: [1, 1, 3, 3], attributes: { pads, value: float(1.5) } },
  { op: 'Pad', opset: 9, dims: [1, 1, 3, 3], attributes: { pads, mode: 'reflect' } },
  { op: 'Clip', opset: 10, dims: [2, 5], attributes: { min: float(-0.5), max: float(0.25) } },
  { op: 'Clip', opset: 6, dims: [2, 5], attributes: { max: float(0.25) } },
  { op: 'Dropout', opset: 10, dims: [2, 5], attributes: { ratio: float(0.3) } },
  { op: 'Dropout', opset: 7, dims: [2, 5] },
  { op: 'Split', opset: 11, dims: [2, 6], attributes: { axis: 1, split: [1, 2, 3] }, outputs: 3 },
  { op: 'Split', opset: 13, dims: [2, 6], attributes: { axis: 1 }, outputs: 3 },
  {
    op: 'Upsample',
    opset: 8,
    dims: [1, 1, 2, 3],
    attributes: { scales: float([1, 1, 2, 3]) },
    becomes: ['Resize'],
  },
  {
    op: 'Upsample',
    opset: 9,
    dims: [1, 1, 2, 3],
    rest: [f([4], 1, 1, 2, 2)],
    attributes: { mode: 'linear' },
    becomes: ['Resize'],
  },
  {
    op: 'Resize',
    opset: 10,
    dims: [1, 1, 4, 4],
    rest: [f([4], 1, 1, 0.6, 0.6)],
    attributes: { mode: 'nearest' },
  },
  {
    op: 'Resize',
    opset: 10,
    dims: [1, 1, 4, 4],
    rest: [f([4], 1, 1, 1.7, 1.7)],
    attributes: { mode: 'linear' },
  },
  ...['floor', 'round_prefer_floor'].map((nearest_mode) => ({
    op: 'Resize',
    opset: 11,
    dims: [1, 1, 5, 5],
    rest: [f([8], 0, 0, 0, 0, 1, 1, 1, 1), f([4], 1, 1, 0.5, 1.5)],
    attributes: { mode: 'nearest', nearest_mode, coordinate_transformation_mode: 'tf_half_pixel_for_nn' },
  })),
  { op: 'Softmax', opset: 11, dims: [2, 5] },
  { op: 'Softmax', opset: 11, dims: [2, 3, 4], attributes: { axis: 2 } },
  { op: 'Softmax', opset: 12, dims: [2, 3, 4], becomes: ['Shape', 'Flatten', 'Softmax', 'Reshape'] },
  {
    op: 'LogSoftmax',
    opset: 9,
    dims: [2, 3, 4],
    attributes: { axis: 0 },
    becomes: ['Shape', 'Flatten', 'LogSoftmax', 'Reshape'],
  },
  { op: 'Hardmax', opset: 11, dims: [2, 3, 4], becomes: ['Shape', 'Flatten', 'Hardmax', 'Reshape'] },
  {
    op: 'BatchNormalization',
    opset: 8,
    dims: [2, 2, 3],
    attributes: { spatial: 1 },
    rest: [f([2], 1, 2), f([2], 0, 1), f([2], 0.5, -0.5), f([2], 1, 2)],
  },
  {
    op: 'GroupNormalization',
    opset: 18,
    dims: [2, 4, 3],
    attributes: { num_groups: 2, epsilon: float(1e-3) },
    rest: [f([2], 1, 2), f([2], 0.5, -1)],
    becomes: ['Shape', 'Reshape', 'InstanceNormalization', 'Reshape'],
  },
  {
    op: 'Scatter',
    opset: 10,
    dims: [3, 3],
    rest: [Tensor.int64([1, 2], [2, 0]), f([1, 2], 8, 9)],
    becomes: ['ScatterElements'],
  },
  { op: 'TopK', opset: 10, dims: [3, 5], rest: [i(2)], outputs: 2 },
]

function modelFor({ op, opset, dims, attributes, rest = [], outputs = 1 }: Case): Model {
  const graph = emptyGraph(op)
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: [...dims] })
  const b = new GraphBuilder(graph)
  const constants = rest.map((tensor) => b.initializer(tensor))
  const names = b.ops(op, ['x', ...constants], attributes, { outputs })
  for (const name of names) graph.outputs.push({ name, dtype: 'undefined', dims: null })
  return { ...modelOf(graph), opsets: new Map([['', opset]]) }
}

async function results(
  model: Model,
  x: Tensor,
): Promise<[dims: readonly number[], values: readonly number[]][]> {
  const session = await openSession(model, { threads: 1 })
  const out = await session.run({ x })
  await session.release()
  return Object.values(out).map((tensor) => [tensor.dims, tensor.numbers])
}

describe('upgrading to opset 18', () => {
  it.each(CASES.map((entry) => [`${entry.op} of opset ${entry.opset}`, entry] as const))(
    '%s computes the same, in the new form',
    async (_, entry) => {
      const model = modelFor(entry)
      const upgraded = normalise(model)
      expect(upgraded.opsets.get('')).toBe(18)
      expect(upgraded.graph.nodes.map((node) => node.opType)).toEqual(entry.becomes ?? [entry.op])
      const size = entry.dims.reduce((a, b) => a * b, 1)
      const x = Tensor.float32(
        entry.dims,
        Array.from({ length: size }, (_, k) => Math.sin(k * 7.3)),
      )
      const [before, after] = [await results(model, x), await results(upgraded, x)]
      expect(after.map(([dims]) => dims)).toEqual(before.map(([dims]) => dims))
      for (const [k, [, values]] of before.entries())
        for (const [j, value] of values.entries()) expect(after[k]![1][j]).toBeCloseTo(value, 5)
    },
  )

  it.each([
    ['Add', { broadcast: 1, axis: 1 }, (x: number, b: number) => x + b],
    ['Mul', { broadcast: 1, axis: 1 }, (x: number, b: number) => x * b],
    ['PRelu', {}, (x: number, b: number) => (x < 0 ? x * b : x)],
  ] as const)(
    '%s of opset 6, which onnxruntime no longer has, broadcasts along its axis',
    async (op, attributes, expected) => {
      const model = normalise(
        modelFor({ op, opset: 6, dims: [1, 3, 2], attributes, rest: [f([3], 2, 3, 4)] }),
      )
      const x = [1, -1, 2, -2, 3, -3]
      const [[, values]] = (await results(model, f([1, 3, 2], ...x))) as [[unknown, readonly number[]]]
      expect(values).toEqual(x.map((value, k) => expected(value, 2 + Math.floor(k / 2))))
    },
  )

  it('keeps the opset of newer models', () => {
    const model = modelFor({ op: 'Gelu', opset: 20, dims: [2, 2] })
    expect(normalise(model).opsets.get('')).toBe(20)
    const group = modelFor({
      op: 'GroupNormalization',
      opset: 21,
      dims: [2, 4, 3],
      attributes: { num_groups: 2 },
      rest: [f([4], 1, 2, 3, 4), f([4], 0, 0, 0, 0)],
    })
    expect(normalise(group).graph.nodes.map((node: Node) => node.opType)).toEqual(['GroupNormalization'])
  })

  it.each([
    ['an opset below 6', modelFor({ op: 'Relu', opset: 5, dims: [2] })],
    [
      'statistics per pixel',
      modelFor({
        op: 'BatchNormalization',
        opset: 8,
        dims: [2, 2, 3],
        attributes: { spatial: 0 },
        rest: [1, 2, 3, 4].map(() => f([2, 3], 1, 1, 1, 1, 1, 1)),
      }),
    ],
  ])('refuses %s', (_, model) => {
    expect(() => normalise(model)).toThrowError(expect.objectContaining({ code: 'unsupported-model' }))
  })

  it('gives constants the type of a float64 input', async () => {
    const model = modelFor({ op: 'Clip', opset: 10, dims: [3], attributes: { max: float(0.5) } })
    model.graph.inputs[0] = { name: 'x', dtype: 'float64', dims: [3] }
    const x = Tensor.of('float64', [3], Float64Array.of(0.1, 0.6, -9))
    expect(await results(normalise(model), x)).toEqual([[[3], [0.1, 0.5, -9]]])
  })
})
