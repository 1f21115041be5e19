import fc from 'fast-check'
import { describe, test } from 'vitest'
import { checkRule } from '../check-rule.ts'
import { awayFrom, batched, distinct, normal } from '../operands.ts'

const shapes = fc.integer({ min: 1, max: 3 }).chain((rank) => {
  const each = (min: number, max: number) =>
    fc.array(fc.integer({ min, max }), { minLength: rank, maxLength: rank })
  return fc.record({
    kernel: each(1, 3),
    strides: each(1, 3),
    dilations: each(1, 2),
    pads: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 2 * rank, maxLength: 2 * rank }),
    extra: each(0, 4),
    ceil: fc.constantFrom(0, 1),
    include: fc.constantFrom(0, 1),
    autoPad: fc.constantFrom('NOTSET', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER'),
    open: fc.boolean(),
    seed: fc.integer({ min: 0, max: 1e6 }),
  })
})

interface Geometry {
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly pads: readonly number[]
}

/** Otherwise onnxruntime's kernel and its shape inference disagree on how many windows ceil_mode means. */
function lastWindowStartsInside(
  size: number,
  i: number,
  { kernel, strides, dilations, pads }: Geometry,
): boolean {
  const padded = size + pads[i]! + pads[i + kernel.length]!
  const last = Math.ceil((padded - (kernel[i]! - 1) * dilations[i]! - 1) / strides[i]!)
  return last * strides[i]! < size + pads[i]!
}

test('MaxPool', () =>
  fc.assert(
    fc.asyncProperty(shapes, async (c) => {
      const { kernel, strides, dilations } = c
      const image = kernel.map((k, i) => (k - 1) * dilations[i]! + 1 + c.extra[i]!)
      const pads = c.pads.map((pad, i) => Math.min(pad, kernel[i % kernel.length]! - 1))
      const x = distinct([2, 2, ...image], c.seed)
      await checkRule({
        op: 'MaxPool',
        inputs: [c.open ? batched(x) : x],
        attributes: {
          kernel_shape: kernel,
          strides,
          dilations,
          ceil_mode:
            c.ceil && image.every((size, i) => lastWindowStartsInside(size, i, { ...c, pads })) ? 1 : 0,
          pads,
        },
        second: false,
      })
    }),
    { numRuns: 25 },
  ))

test('AveragePool', () =>
  fc.assert(
    fc.asyncProperty(shapes, async (c) => {
      const { kernel, strides, autoPad } = c
      const image = kernel.map((k, i) => k + c.extra[i]!)
      const ones = kernel.map(() => 1)
      const pads = c.pads.map((pad, i) => Math.min(pad, kernel[i % kernel.length]! - 1))
      const ceil = image.every((size, i) => lastWindowStartsInside(size, i, { ...c, dilations: ones, pads }))
      const x = normal([2, 2, ...image], c.seed)
      await checkRule({
        op: 'AveragePool',
        inputs: [c.open ? batched(x) : x],
        attributes: {
          kernel_shape: kernel,
          // Automatic padding below zero is more than onnxruntime takes.
          strides: autoPad === 'NOTSET' ? strides : strides.map((stride, i) => Math.min(stride, kernel[i]!)),
          ceil_mode: autoPad === 'NOTSET' && ceil ? c.ceil : 0,
          count_include_pad: c.include,
          ...(autoPad === 'NOTSET' ? { pads } : { auto_pad: autoPad }),
        },
      })
    }),
    { numRuns: 30 },
  ))

describe('LpPool', () => {
  test.each([1, 2, 3])('p = %i', (p) =>
    checkRule({
      op: 'LpPool',
      inputs: [awayFrom([0], [2, 2, 5, 6], p, 0.3)],
      attributes: { kernel_shape: [2, 3], strides: [2, 1], pads: [0, 1, 0, 1], p },
      second: p !== 1,
    }),
  )
})

describe('global pools', () => {
  test.each([[[2, 3, 4, 5]], [[2, 3, 6]], [[2, 3, 2, 3, 2]], [[1, 2, 9, 9]]])('of %j', async (dims) => {
    await checkRule({ op: 'GlobalAveragePool', inputs: [batched(normal(dims, 1))] })
    await checkRule({ op: 'GlobalMaxPool', inputs: [distinct(dims, 2)], second: false })
    for (const p of [1, 2, 3])
      await checkRule({
        op: 'GlobalLpPool',
        inputs: [awayFrom([0], dims, 3, 0.3)],
        attributes: { p },
        second: p !== 1,
      })
  })
})
