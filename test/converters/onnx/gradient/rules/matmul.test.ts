import { describe, test } from 'vitest'
import { float } from '../../../../../converters/onnx/builder.ts'
import { checkRule } from '../check-rule.ts'
import { batched, normal } from '../operands.ts'

describe('MatMul', () => {
  const shapes: readonly (readonly [number[], number[]])[] = [
    [
      [3, 4],
      [4, 5],
    ],
    [
      [2, 3, 4],
      [4, 5],
    ],
    [
      [2, 3, 4],
      [2, 4, 5],
    ],
    [
      [2, 1, 3, 4],
      [3, 4, 2],
    ],
    [
      [3, 4],
      [2, 4, 5],
    ],
    [[4], [4]],
    [[4], [4, 5]],
    [[3, 4], [4]],
    [[2, 3, 4], [4]],
    [[4], [2, 4, 3]],
  ]
  test.each(shapes)('%j times %j', (a, b) =>
    checkRule({ op: 'MatMul', inputs: [normal(a, 1), normal(b, 2)] }),
  )

  test('an open batch with shared weights', () =>
    checkRule({ op: 'MatMul', inputs: [batched(normal([2, 3, 4], 1)), normal([4, 5], 2)] }))
})

describe('Gemm', () => {
  const cases = [0, 1].flatMap((transA) => [0, 1].map((transB) => [transA, transB] as const))
  test.each(cases)('transA %i, transB %i', async (transA, transB) => {
    const [a, b] = [transA ? [4, 3] : [3, 4], transB ? [5, 4] : [4, 5]]
    const attributes = { transA, transB, alpha: float(0.7), beta: float(1.3) }
    for (const c of [[3, 5], [5], [3, 1], [1], []])
      await checkRule({ op: 'Gemm', inputs: [normal(a, 1), normal(b, 2), normal(c, 3)], attributes })
  })
  test('without a bias', () => checkRule({ op: 'Gemm', inputs: [normal([3, 4], 1), normal([4, 5], 2)] }))
})

describe('Einsum', () => {
  const cases: readonly (readonly [string, number[][]])[] = [
    [
      'ij,jk->ik',
      [
        [3, 4],
        [4, 5],
      ],
    ],
    [
      'bij,bjk->bik',
      [
        [2, 3, 4],
        [2, 4, 5],
      ],
    ],
    [
      'bhid,bhjd->bhij',
      [
        [2, 2, 3, 4],
        [2, 2, 5, 4],
      ],
    ],
    ['ij->ji', [[3, 4]]],
    ['ij->i', [[3, 4]]],
    ['ij->', [[3, 4]]],
    ['i,j', [[3], [4]]],
    [
      'ij,jk',
      [
        [3, 4],
        [4, 5],
      ],
    ],
    [
      '...ij,...jk->...ik',
      [
        [2, 3, 4],
        [2, 4, 5],
      ],
    ],
    [
      '...ij,jk->...ik',
      [
        [2, 3, 4],
        [4, 5],
      ],
    ],
    [
      'bi,bj,bk->ijk',
      [
        [2, 3],
        [2, 2],
        [2, 4],
      ],
    ],
    [
      'bc,oc->bo',
      [
        [2, 3],
        [4, 3],
      ],
    ],
  ]
  test.each(cases)('%s', (equation, dims) =>
    checkRule({ op: 'Einsum', inputs: dims.map((d, i) => normal(d, i + 1)), attributes: { equation } }),
  )
})

describe('Attention', () => {
  test('with heads as an axis, a mask and a cap', () =>
    checkRule({
      op: 'Attention',
      inputs: [normal([2, 2, 3, 4], 1), normal([2, 2, 5, 4], 2), normal([2, 2, 5, 6], 3), normal([3, 5], 4)],
      attributes: { softcap: float(2) },
      opset: 23,
    }))
  test('with heads within the features, grouped, causal', () =>
    checkRule({
      op: 'Attention',
      inputs: [normal([2, 4, 16], 1), normal([2, 4, 8], 2), normal([2, 4, 8], 3)],
      attributes: { q_num_heads: 4, kv_num_heads: 2, is_causal: 1 },
      opset: 23,
    }))
})

describe('Softmax and LogSoftmax', () => {
  test.each(['Softmax', 'LogSoftmax'])('%s along each axis', async (op) => {
    for (const axis of [0, 1, -1])
      await checkRule({ op, inputs: [normal([2, 3, 4], 7)], attributes: { axis } })
    await checkRule({ op, inputs: [batched(normal([2, 5], 8, 3))] })
  })
})
