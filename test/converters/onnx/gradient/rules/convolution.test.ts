import fc from 'fast-check'
import { describe, test } from 'vitest'
import { checkRule } from '../check-rule.ts'
import { batched, normal } from '../operands.ts'

/** Convolutions of 1 to 3 spatial axes, all attributes. */
const shapes = fc.integer({ min: 1, max: 3 }).chain((rank) => {
  const each = (min: number, max: number) =>
    fc.array(fc.integer({ min, max }), { minLength: rank, maxLength: rank })
  return fc.record({
    kernel: each(1, 3),
    strides: fc.oneof(
      each(1, 3),
      fc.integer({ min: 1, max: 3 }).map((s) => Array(rank).fill(s) as number[]),
    ),
    dilations: fc.oneof(
      { weight: 2, arbitrary: fc.constant(Array(rank).fill(1) as number[]) },
      { weight: 1, arbitrary: each(1, 2) },
    ),
    pads: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 2 * rank, maxLength: 2 * rank }),
    extra: each(0, 4),
    group: fc.constantFrom(1, 1, 2, 3),
    perGroup: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
    autoPad: fc.constantFrom('NOTSET', 'NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
    bias: fc.boolean(),
    open: fc.boolean(),
    seed: fc.integer({ min: 0, max: 1e6 }),
  })
})

test('Conv: image, weights and bias', () =>
  fc.assert(
    fc.asyncProperty(shapes, async (c) => {
      const { kernel, strides, dilations, group, autoPad } = c
      const image = kernel.map((k, i) => (k - 1) * dilations[i]! + 1 + c.extra[i]!)
      const [inputs, outputs] = [group * c.perGroup[0], group * c.perGroup[1]]
      const x = normal([2, inputs, ...image], c.seed)
      await checkRule({
        op: 'Conv',
        inputs: [
          c.open ? batched(x) : x,
          normal([outputs, c.perGroup[0], ...kernel], c.seed + 1),
          c.bias ? normal([outputs], c.seed + 2) : null,
        ],
        attributes: {
          kernel_shape: kernel,
          strides,
          dilations: autoPad === 'NOTSET' || autoPad === 'VALID' ? dilations : kernel.map(() => 1),
          group,
          ...(autoPad === 'NOTSET' ? { pads: c.pads } : { auto_pad: autoPad }),
        },
        second: c.seed % 4 === 0,
      })
    }),
    { numRuns: 40 },
  ))

test('ConvTranspose: image, weights and bias', () =>
  fc.assert(
    fc.asyncProperty(shapes, async (c) => {
      const { kernel, strides, dilations, group } = c
      const image = c.extra.map((size) => size + 1)
      const [inputs, outputs] = [group * c.perGroup[0], group * c.perGroup[1]]
      const out = image.map((size, i) => (size - 1) * strides[i]! + (kernel[i]! - 1) * dilations[i]! + 1)
      // Padding must leave something.
      const pads = c.pads.map((pad, i) => (out[i % kernel.length]! > 5 ? pad : 0))
      const output_padding = strides.map((stride) => (c.seed % 2 ? stride - 1 : 0))
      await checkRule({
        op: 'ConvTranspose',
        inputs: [
          normal([2, inputs, ...image], c.seed),
          normal([inputs, c.perGroup[1], ...kernel], c.seed + 1),
          c.bias ? normal([outputs], c.seed + 2) : null,
        ],
        attributes: { kernel_shape: kernel, strides, dilations, group, pads, output_padding },
        second: c.seed % 4 === 0,
      })
    }),
    { numRuns: 25 },
  ))

describe('ConvTranspose with a wanted output', () => {
  test.each([{ auto_pad: 'SAME_UPPER' }, { auto_pad: 'SAME_LOWER' }, { output_shape: [10, 8] }])(
    '%j',
    (attributes) =>
      checkRule({
        op: 'ConvTranspose',
        inputs: [normal([1, 2, 3, 3], 1), normal([2, 2, 3, 3], 2)],
        attributes: { strides: [3, 2], ...attributes },
        second: false,
      }),
  )
})

describe('the convolutions of residual networks, in the CPU formulations', () => {
  const cases: readonly (readonly [
    string,
    { kernel: number; stride: number; pads: number[]; size: number; group?: number },
  ])[] = [
    ['3x3', { kernel: 3, stride: 1, pads: [1, 1, 1, 1], size: 8 }],
    ['3x3 stride 2', { kernel: 3, stride: 2, pads: [1, 1, 1, 1], size: 8 }],
    ['3x3 stride 2, odd size', { kernel: 3, stride: 2, pads: [1, 1, 1, 1], size: 9 }],
    ['3x3 stride 2, padded as TensorFlow does', { kernel: 3, stride: 2, pads: [0, 0, 1, 1], size: 8 }],
    ['1x1 stride 2', { kernel: 1, stride: 2, pads: [0, 0, 0, 0], size: 8 }],
    ['1x1 stride 2, odd size', { kernel: 1, stride: 2, pads: [0, 0, 0, 0], size: 9 }],
    ['7x7 stride 2', { kernel: 7, stride: 2, pads: [3, 3, 3, 3], size: 16 }],
    ['11x11 stride 4', { kernel: 11, stride: 4, pads: [2, 2, 2, 2], size: 31 }],
    ['depthwise', { kernel: 3, stride: 1, pads: [1, 1, 1, 1], size: 8, group: 16 }],
    ['depthwise stride 2', { kernel: 3, stride: 2, pads: [1, 1, 1, 1], size: 8, group: 16 }],
    ['4x4 patches', { kernel: 4, stride: 4, pads: [0, 0, 0, 0], size: 16 }],
  ]
  test.each(cases)('%s', (_, { kernel, stride, pads, size, group = 1 }) =>
    checkRule({
      op: 'Conv',
      inputs: [
        batched(normal([2, 16, size, size], 1)),
        normal([16, 16 / group, kernel, kernel], 2),
        normal([16], 3),
      ],
      attributes: { kernel_shape: [kernel, kernel], strides: [stride, stride], pads, group },
      second: false,
    }),
  )
})
