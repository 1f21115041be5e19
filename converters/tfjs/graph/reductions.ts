import { axisOf } from '../dims.ts'
import { softmax } from '../lowering/activation.ts'
import { combine } from '../lowering/elementwise.ts'
import { unsupported } from '../lowering/lowering.ts'
import { einsum, matMul } from '../lowering/matrix.ts'
import { batchNormalisation } from '../lowering/normalisation.ts'
import { argument, type Reduction, reduce } from '../lowering/reduction.ts'
import { fused } from './fused.ts'
import { type NodeRule, type NodeTable, numberOf, numbersOf } from './rule.ts'
import { formatOf } from './windows.ts'

const reduction =
  (opType: Reduction): NodeRule =>
  ({ l, x, inputs, attributes }) => {
    const axes = numbersOf(inputs[1], 'axes').map((axis) => axisOf(axis, x.dims.length))
    return reduce(l, opType, x, axes, attributes.flag('keep_dims'))
  }

const arg =
  (opType: 'ArgMax' | 'ArgMin'): NodeRule =>
  ({ l, x, inputs }) =>
    argument(l, opType, x, axisOf(numberOf(inputs[1], 'an axis'), x.dims.length))

const batchMatMul: NodeRule = ({ l, inputs, attributes }) =>
  matMul(l, inputs[0]!, inputs[1]!, {
    transposeA: attributes.flag('adj_x'),
    transposeB: attributes.flag('adj_y'),
  })

const fusedBatchNorm: NodeRule = ({ l, x, inputs, attributes }) => {
  if (attributes.flag('is_training')) throw unsupported('a normalisation by the batch itself')
  const [scale, offset, mean, variance] = inputs.slice(1)
  return batchNormalisation(
    l,
    x,
    {
      scale: scale!,
      offset: offset!,
      mean: mean!,
      variance: variance!,
      epsilon: attributes.float('epsilon', 1e-3),
    },
    formatOf(attributes),
  )
}

/** Operators that combine the elements of an axis. */
export const REDUCTIONS: NodeTable = {
  Mean: reduction('ReduceMean'),
  Max: reduction('ReduceMax'),
  Min: reduction('ReduceMin'),
  Sum: reduction('ReduceSum'),
  Prod: reduction('ReduceProd'),
  ArgMax: arg('ArgMax'),
  ArgMin: arg('ArgMin'),
  Softmax: ({ l, x }) => softmax(l, 'Softmax', x, x.dims.length - 1),
  LogSoftmax: ({ l, x }) => softmax(l, 'LogSoftmax', x, x.dims.length - 1),
  FusedBatchNorm: fusedBatchNorm,
  FusedBatchNormV2: fusedBatchNorm,
  FusedBatchNormV3: fusedBatchNorm,
  /** tfjs adds along the last axis, whatever `data_format` says. */
  BiasAdd: ({ l, inputs }) => combine(l, 'Add', inputs),
  MatMul: ({ l, inputs, attributes }) =>
    matMul(l, inputs[0]!, inputs[1]!, {
      transposeA: attributes.flag('transpose_a'),
      transposeB: attributes.flag('transpose_b'),
    }),
  Einsum: ({ l, inputs, attributes }) => einsum(l, attributes.text('equation', ''), inputs),
  BatchMatMul: batchMatMul,
  BatchMatMulV2: batchMatMul,
  _FusedMatMul(call) {
    const { l, inputs, attributes } = call
    const { bias, activate } = fused(call)
    const product = matMul(l, inputs[0]!, inputs[1]!, {
      transposeA: attributes.flag('transpose_a'),
      transposeB: attributes.flag('transpose_b'),
      bias,
    })
    return activate(product)
  },
}
