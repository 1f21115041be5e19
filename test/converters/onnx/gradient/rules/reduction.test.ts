import { describe, test } from 'vitest'
import { checkRule, type Variable } from '../check-rule.ts'
import { awayFrom, batched, between, distinct, int64s, normal } from '../operands.ts'

const OPERANDS: Record<string, (dims: number[]) => Variable> = {
  ReduceSum: (dims) => normal(dims, 1),
  ReduceMean: (dims) => normal(dims, 2),
  ReduceSumSquare: (dims) => normal(dims, 3),
  ReduceL1: (dims) => awayFrom([0], dims, 4),
  ReduceL2: (dims) => awayFrom([0], dims, 5),
  ReduceLogSum: (dims) => between(0.5, 2, dims, 6),
  ReduceLogSumExp: (dims) => normal(dims, 7),
  ReduceMax: (dims) => distinct(dims, 8),
  ReduceMin: (dims) => distinct(dims, 9),
  ReduceProd: (dims) => awayFrom([0], dims, 10, 0.4),
}

describe.each(Object.keys(OPERANDS))('%s', (op) => {
  const x = OPERANDS[op]!([2, 3, 4])
  const second = op !== 'ReduceMax' && op !== 'ReduceMin'
  test.each([[1], [0, 2], [-1]])('over axes %j', async (...axes) => {
    for (const keepdims of [0, 1])
      await checkRule({ op, inputs: [x, int64s(...axes)], attributes: { keepdims }, second })
  })
  test('over all axes, and over none', async () => {
    await checkRule({ op, inputs: [x], attributes: { keepdims: 0 }, second })
    await checkRule({ op, inputs: [x], attributes: { noop_with_empty_axes: 1 }, second: false })
  })
  test('over an open batch axis', () =>
    checkRule({ op, inputs: [batched(x), int64s(0, 2)], attributes: { keepdims: 0 }, second: false }))
})

test('ReduceProd with zeros among the factors', () =>
  checkRule({
    op: 'ReduceProd',
    inputs: [{ dims: [3, 3], values: Float32Array.of(1, 2, 3, 0, 4, 5, 0, 6, 0) }, int64s(1)],
    second: false,
  }))

test('CumSum in all its forms', async () => {
  for (const exclusive of [0, 1])
    for (const reverse of [0, 1])
      await checkRule({
        op: 'CumSum',
        inputs: [normal([2, 3, 4], 1), int64s(1)],
        attributes: { exclusive, reverse },
      })
})
