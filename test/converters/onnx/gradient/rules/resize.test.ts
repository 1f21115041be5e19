import { describe, test } from 'vitest'
import { float } from '../../../../../converters/onnx/builder.ts'
import { Tensor } from '../../../../../converters/onnx/tensor.ts'
import { checkRule } from '../check-rule.ts'
import { batched, distinct, int64s, normal } from '../operands.ts'

const x = batched(normal([2, 3, 4, 5], 1))
const scales = (...values: number[]): Tensor => Tensor.float32([values.length], values)

describe('Resize', () => {
  const coordinates = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric']
  test.each(coordinates)('%s', async (coordinate_transformation_mode) => {
    for (const mode of ['nearest', 'linear', 'cubic']) {
      const attributes = { mode, coordinate_transformation_mode }
      await checkRule({ op: 'Resize', inputs: [x, null, scales(1, 1, 2, 2)], attributes, second: false })
      await checkRule({ op: 'Resize', inputs: [x, null, scales(1, 1, 1.7, 0.6)], attributes, second: false })
    }
  })
  test.each(['floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil'])(
    'nearest, %s',
    async (nearest_mode) => {
      for (const factor of [2, 3, 1.5])
        await checkRule({
          op: 'Resize',
          inputs: [x, null, scales(1, 1, factor, factor)],
          attributes: { nearest_mode, coordinate_transformation_mode: 'asymmetric' },
        })
    },
  )
  test('to sizes, with antialiasing, and of some axes only', async () => {
    const fixed = normal([2, 3, 6, 8], 2)
    const mode = 'linear'
    await checkRule({ op: 'Resize', inputs: [fixed, null, null, int64s(2, 3, 9, 4)], attributes: { mode } })
    await checkRule({
      op: 'Resize',
      inputs: [fixed, null, null, int64s(2, 3, 3, 4)],
      attributes: { mode, antialias: 1 },
    })
    await checkRule({
      op: 'Resize',
      inputs: [fixed, null, null, int64s(9, 4)],
      attributes: { mode, axes: [2, 3] },
    })
    await checkRule({
      op: 'Resize',
      inputs: [fixed, null, null, int64s(2, 3, 9, 4)],
      attributes: { mode: 'cubic', cubic_coeff_a: float(-0.5), exclude_outside: 1 },
    })
  })
})

describe('Pad', () => {
  const pads = int64s(0, 0, 1, 2, 0, 0, 2, 1)
  test.each(['constant', 'reflect', 'edge'])('%s', (mode) =>
    checkRule({ op: 'Pad', inputs: [x, pads], attributes: { mode } }),
  )
  test('wrap, since opset 19', () =>
    checkRule({ op: 'Pad', inputs: [x, pads], attributes: { mode: 'wrap' }, opset: 19 }))
  test('a filler that is differentiated, and negative padding', () =>
    checkRule({ op: 'Pad', inputs: [x, int64s(0, 0, -1, 2, 0, 0, 1, -2), normal([], 3)] }))
  test('of some axes only', () =>
    checkRule({ op: 'Pad', inputs: [x, int64s(1, 2), null, int64s(-1)], attributes: { mode: 'reflect' } }))
})

test('TopK gives the gradient to the elements that were picked', async () => {
  for (const largest of [0, 1])
    await checkRule({
      op: 'TopK',
      inputs: [distinct([2, 5], 3), int64s(3)],
      attributes: { largest },
      outputs: 2,
    })
  await checkRule({
    op: 'TopK',
    inputs: [distinct([4, 3], 3), int64s(2)],
    attributes: { axis: 0 },
    outputs: 2,
  })
})
