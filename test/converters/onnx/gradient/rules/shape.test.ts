import { describe, test } from 'vitest'
import { dataTypeCode, Tensor } from '../../../../../converters/onnx/tensor.ts'
import { checkRule, type RuleCase } from '../check-rule.ts'
import { batched, constant, indices, int64s, normal } from '../operands.ts'

const x = normal([2, 3, 4, 6], 1)
const open = batched(x)

const CASES: Record<string, readonly Omit<RuleCase, 'op'>[]> = {
  Identity: [{ inputs: [open] }],
  Reshape: [
    { inputs: [open, int64s(-1, 12, 6)] },
    { inputs: [x, int64s(0, 0, -1)] },
    { inputs: [open, int64s(-1)] },
  ],
  Flatten: [
    { inputs: [open] },
    { inputs: [x], attributes: { axis: 0 } },
    { inputs: [x], attributes: { axis: -1 } },
  ],
  Squeeze: [{ inputs: [batched(normal([2, 1, 3, 1], 2)), int64s(1, -1)] }],
  Unsqueeze: [{ inputs: [open, int64s(1, -1)] }],
  Transpose: [{ inputs: [open], attributes: { perm: [2, 0, 3, 1] } }, { inputs: [x] }],
  Expand: [
    { inputs: [normal([3, 1], 3), int64s(2, 3, 4)] },
    { inputs: [batched(normal([2, 1, 3], 4)), int64s(1, 5, 1)] },
  ],
  Tile: [
    { inputs: [normal([2, 3], 5), int64s(2, 3)] },
    { inputs: [batched(normal([2, 3], 5)), int64s(1, 2)] },
  ],
  Concat: [
    {
      inputs: [open, batched(normal([2, 5, 4, 6], 6)), batched(normal([2, 1, 4, 6], 7))],
      attributes: { axis: 1 },
    },
    { inputs: [x, constant([2, 3, 4, 2], 8)], attributes: { axis: -1 } },
  ],
  Split: [
    { inputs: [open, int64s(1, 2)], attributes: { axis: 1 }, outputs: 2 },
    { inputs: [x], attributes: { axis: -1, num_outputs: 3 }, outputs: 3 },
  ],
  DepthToSpace: [
    { inputs: [batched(normal([2, 8, 2, 3], 9))], attributes: { blocksize: 2 } },
    { inputs: [batched(normal([2, 8, 2, 3], 9))], attributes: { blocksize: 2, mode: 'CRD' } },
  ],
  SpaceToDepth: [{ inputs: [open], attributes: { blocksize: 2 } }],
  Trilu: [{ inputs: [x] }, { inputs: [x, Tensor.int64([], [1])], attributes: { upper: 0 } }],
  Cast: [{ inputs: [open], attributes: { to: dataTypeCode('float32') } }],
  Dropout: [{ inputs: [open] }, { inputs: [x, Tensor.float32([], [0.3])] }],

  Slice: [
    { inputs: [open, int64s(1, -4), int64s(3, 1000), int64s(2, 3)] },
    { inputs: [x, int64s(-1, 3), int64s(-1000, 0), int64s(1, 2), int64s(-1, -2)] },
    { inputs: [open, int64s(0), int64s(6), int64s(3), int64s(4)] },
  ],
  Gather: [
    { inputs: [open, Tensor.int64([], [-1])], attributes: { axis: 1 } },
    { inputs: [open, int64s(2, 1, 0)], attributes: { axis: 1 } },
    { inputs: [open, int64s(1, 2)], attributes: { axis: 2 } },
    { inputs: [open, indices([2, 3], 4, 1)], attributes: { axis: 2 } },
    { inputs: [x, indices([2, 2], 2, 2)], attributes: { axis: 0 } },
  ],
  GatherElements: [{ inputs: [x, indices([2, 3, 4, 2], 6, 3)], attributes: { axis: 3 } }],
  GatherND: [
    { inputs: [x, Tensor.int64([3, 2], [0, 1, 1, 2, 1, 2])] },
    { inputs: [x, Tensor.int64([2, 2, 1], [0, 1, 2, 0])], attributes: { batch_dims: 1 } },
    { inputs: [x, indices([2, 3, 2], 4, 4)], attributes: { batch_dims: 2 } },
  ],
  ScatterElements: [
    {
      inputs: [normal([3, 4], 1), Tensor.int64([2, 2], [0, 3, 2, 1]), normal([2, 2], 2)],
      attributes: { axis: 1 },
    },
    {
      inputs: [normal([3, 4], 1), Tensor.int64([2, 2], [1, 1, 2, -1]), normal([2, 2], 2)],
      attributes: { axis: 1, reduction: 'add' },
    },
  ],
  ScatterND: [
    { inputs: [normal([4, 3], 1), Tensor.int64([2, 1], [2, 0]), normal([2, 3], 2)] },
    {
      inputs: [normal([4, 3], 1), Tensor.int64([3, 1], [2, 0, 2]), normal([3, 3], 2)],
      attributes: { reduction: 'add' },
    },
  ],
  OneHot: [{ inputs: [int64s(0, 2, 1), Tensor.int64([], [4]), normal([2], 1)] }],
  ReverseSequence: [{ inputs: [normal([4, 3, 2], 1), int64s(2, 4, 3)] }],
}

describe.each(Object.keys(CASES))('%s', (op) => {
  test.each(CASES[op]!.map((rule, i) => [i, rule] as const))('form %i', (_, rule) =>
    checkRule({ op, ...rule }),
  )
})
