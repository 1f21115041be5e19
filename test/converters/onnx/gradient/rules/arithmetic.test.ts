import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Tensor } from '../../../../../converters/onnx/tensor.ts'
import { checkRule, type Variable } from '../check-rule.ts'
import { awayFrom, batched, between, distinct, normal } from '../operands.ts'

const SHAPES: readonly (readonly (readonly number[])[])[] = [
  [
    [2, 3, 4],
    [2, 3, 4],
  ],
  [[2, 3, 4], [4]],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [
    [3, 1],
    [2, 3, 4],
  ],
  [[2, 3, 4], []],
  [
    [1, 3, 1],
    [2, 1, 4],
  ],
]

/** Two operands whose shapes broadcast, both positive and away from zero where that matters. */
const pairs = fc.tuple(fc.constantFrom(...SHAPES), fc.integer({ min: 0, max: 1e6 }))

describe('binary operators, broadcasting', () => {
  const make: Record<string, (dims: readonly number[], seed: number, which: number) => Variable> = {
    Add: (dims, seed) => normal(dims, seed),
    Sub: (dims, seed) => normal(dims, seed),
    Mul: (dims, seed) => normal(dims, seed),
    Div: (dims, seed) => between(0.5, 2, dims, seed),
    Pow: (dims, seed) => between(0.5, 2, dims, seed),
  }
  for (const [op, operand] of Object.entries(make))
    test(op, () =>
      fc.assert(
        fc.asyncProperty(pairs, async ([[a, b], seed]) => {
          await checkRule({ op, inputs: [operand(a!, seed, 0), operand(b!, seed + 1, 1)] })
        }),
        { numRuns: 4 },
      ),
    )

  test('an open batch axis is summed over for what every image shares', async () => {
    for (const op of ['Add', 'Mul', 'Div'])
      await checkRule({ op, inputs: [batched(between(0.5, 2, [2, 3, 4], 1)), between(0.5, 2, [3, 1], 2)] })
  })

  test('Mod with fmod keeps the sign of the dividend', () =>
    checkRule({
      op: 'Mod',
      inputs: [
        { dims: [6], values: Float32Array.of(5.3, -5.3, 2.5, -7.7, 0.4, 9.1) },
        { dims: [6], values: Float32Array.of(2, 2, -2, -3, 1, 4) },
      ],
      attributes: { fmod: 1 },
    }))
})

describe('Pow', () => {
  test.each([0, 1, 2, 3, 0.5, -1.5])('with the constant exponent %s', (exponent) =>
    checkRule({ op: 'Pow', inputs: [between(0.5, 2, [3, 4], 5), Tensor.float32([], [exponent])] }),
  )
  test('with an integer exponent', () =>
    checkRule({ op: 'Pow', inputs: [awayFrom([0], [3, 4], 5), Tensor.int64([], [3])] }))
})

describe('variadic operators', () => {
  test.each(['Sum', 'Mean', 'Max', 'Min'])('%s of one, two and three', async (op) => {
    const { values } = distinct([3, 24], 9)
    const part = (i: number): Variable => ({ dims: [2, 3, 4], values: values.slice(24 * i, 24 * (i + 1)) })
    for (const count of [1, 2, 3]) await checkRule({ op, inputs: [0, 1, 2].slice(0, count).map(part) })
    await checkRule({ op, inputs: [part(0), { dims: [3, 1], values: values.slice(60, 63) }] })
  })
})

describe('unary operators', () => {
  const cases: Record<string, Variable> = {
    Neg: normal([2, 3], 1),
    Abs: awayFrom([0], [4, 5], 2),
    Reciprocal: awayFrom([0], [4, 5], 3, 0.4),
    Exp: normal([4, 5], 4),
    Log: between(0.3, 3, [4, 5], 5),
    Sqrt: between(0.3, 3, [4, 5], 6),
    Erf: normal([4, 5], 7),
    Sin: normal([4, 5], 8),
    Cos: normal([4, 5], 9),
    Tan: between(-1, 1, [4, 5], 10),
    Asin: between(-0.7, 0.7, [4, 5], 11),
    Acos: between(-0.7, 0.7, [4, 5], 12),
    Atan: normal([4, 5], 13),
    Sinh: normal([4, 5], 14),
    Cosh: normal([4, 5], 15),
    Tanh: normal([4, 5], 16),
    Asinh: normal([4, 5], 17),
    Acosh: between(1.5, 4, [4, 5], 18),
    Atanh: between(-0.7, 0.7, [4, 5], 19),
  }
  test.each(Object.keys(cases))('%s', (op) => checkRule({ op, inputs: [cases[op]!] }))
})

test('Where gives each branch its share', () =>
  checkRule({
    op: 'Where',
    inputs: [Tensor.of('bool', [2, 3], Uint8Array.of(1, 0, 0, 1, 1, 0)), normal([2, 3], 1), normal([3], 2)],
  }))

test('a second gradient that is missing would be noticed', async () => {
  await expect(checkRule({ op: 'Exp', inputs: [normal([3], 1)], tolerance: 0 })).rejects.toThrow(
    /computed .* measured/,
  )
})
