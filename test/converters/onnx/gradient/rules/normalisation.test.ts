import { describe, test } from 'vitest'
import { float } from '../../../../../converters/onnx/builder.ts'
import { checkRule } from '../check-rule.ts'
import { awayFrom, batched, between, normal } from '../operands.ts'

const parameters = (channels: number) => [
  normal([channels], 11),
  normal([channels], 12),
  normal([channels], 13),
  between(0.5, 2, [channels], 14),
]

describe('BatchNormalization', () => {
  test.each([[[2, 3, 4, 5]], [[4, 3]], [[2, 3, 5]]])('inference, %j: all five inputs', (dims) =>
    checkRule({ op: 'BatchNormalization', inputs: [batched(normal(dims, 1)), ...parameters(3)] }),
  )
  test.each([0, 0.9])('training with momentum %d: also through the running statistics', (momentum) =>
    checkRule({
      op: 'BatchNormalization',
      inputs: [normal([4, 3, 3, 3], 1), ...parameters(3)],
      attributes: { training_mode: 1, momentum: float(momentum) },
      outputs: 3,
      second: momentum !== 0,
    }),
  )
  test('training with an open batch', () =>
    checkRule({
      op: 'BatchNormalization',
      inputs: [batched(normal([4, 3, 3, 3], 1)), ...parameters(3)],
      attributes: { training_mode: 1, momentum: float(0.5) },
      outputs: 3,
      second: false,
    }))
})

test('InstanceNormalization', () =>
  checkRule({
    op: 'InstanceNormalization',
    inputs: [batched(normal([2, 3, 4, 5], 1)), normal([3], 2), normal([3], 3)],
  }))

describe('LayerNormalization', () => {
  test.each([-1, -2, 1, 2])('from axis %i', async (axis) => {
    const dims = [2, 3, 5]
    const scale = dims.slice(axis)
    const inputs = [batched(normal(dims, 1)), normal(scale, 2), normal(scale, 3)]
    await checkRule({ op: 'LayerNormalization', inputs, attributes: { axis } })
    await checkRule({
      op: 'LayerNormalization',
      inputs: inputs.slice(0, 2),
      attributes: { axis },
      second: false,
    })
  })
})

test('RMSNormalization', () =>
  checkRule({ op: 'RMSNormalization', inputs: [batched(normal([2, 3, 5], 1)), normal([5], 2)], opset: 23 }))

describe('GroupNormalization', () => {
  test('with parameters per group, as in opset 18', () =>
    checkRule({
      op: 'GroupNormalization',
      inputs: [normal([2, 6, 3, 3], 1), normal([2], 2), normal([2], 3)],
      attributes: { num_groups: 2 },
    }))
  test('with parameters per channel, as since opset 21', () =>
    checkRule({
      op: 'GroupNormalization',
      inputs: [batched(normal([2, 6, 3, 3], 1)), normal([6], 2), normal([6], 3)],
      attributes: { num_groups: 2 },
      opset: 21,
    }))
})

test('MeanVarianceNormalization', async () => {
  await checkRule({ op: 'MeanVarianceNormalization', inputs: [normal([3, 2, 4, 4], 1)] })
  await checkRule({
    op: 'MeanVarianceNormalization',
    inputs: [normal([2, 3, 4, 4], 1)],
    attributes: { axes: [2, 3] },
  })
})

test.each([1, 2])('LpNormalization, p = %i', async (p) => {
  for (const axis of [1, -1])
    await checkRule({ op: 'LpNormalization', inputs: [awayFrom([0], [2, 3, 5], 1)], attributes: { p, axis } })
})

test.each([1, 3, 5])('LRN over %i channels', (size) =>
  checkRule({
    op: 'LRN',
    inputs: [batched(normal([2, 6, 3, 3], 1))],
    attributes: { size, alpha: float(0.5), beta: float(0.6), bias: float(1.2) },
  }),
)
