import { REDUCTIONS } from '../../../../converters/tfjs/graph/reductions.ts'
import { flag, float, int, text, texts } from './file.ts'
import { everyOperator, features, image, toFloat, unary, type Write } from './suite.ts'

const reduced =
  (op: string): Write =>
  (g) => {
    const x = features(g)
    return [
      g.node(op, [x, g.ints([1, 2])]),
      g.node(op, [x, g.ints([2])]),
      g.node(op, [x, g.ints([3])], { keep_dims: flag(true) }),
      g.node(op, [x, g.ints([-1, 1])]),
    ]
  }

const batchNorm =
  (op: string): Write =>
  (g) => {
    const [scale, offset, mean] = ['scale', 'offset', 'mean'].map((name) => g.weight(name, [3]))
    const variance = g.weight('variance', [3], (value) => value * value + 0.5)
    return g.node(op, [g.input('x', image), scale!, offset!, mean!, variance], { epsilon: float(0.01) })
  }

const product =
  (op: string, swap: string): Write =>
  (g) =>
    g.node(op, [g.input('x', [-1, 4, 5]), g.weight('b', [1, 6, 5])], { [swap]: flag(true) })

everyOperator('Reductions and products', REDUCTIONS, {
  Mean: reduced('Mean'),
  Max: reduced('Max'),
  Min: reduced('Min'),
  Sum: reduced('Sum'),
  Prod: (g) => g.node('Prod', [features(g), g.ints([2])]),
  ArgMax: (g) => toFloat(g, g.node('ArgMax', [features(g), g.ints([-1], [])])),
  ArgMin: (g) => toFloat(g, g.node('ArgMin', [features(g), g.ints([1], [])])),
  Softmax: unary('Softmax'),
  LogSoftmax: unary('LogSoftmax'),
  FusedBatchNorm: batchNorm('FusedBatchNorm'),
  FusedBatchNormV2: batchNorm('FusedBatchNormV2'),
  FusedBatchNormV3: batchNorm('FusedBatchNormV3'),
  BiasAdd: (g) => g.node('BiasAdd', [features(g), g.weight('b', [3])]),
  MatMul: (g) => [
    g.node('MatMul', [g.input('x', [-1, 4]), g.weight('b', [4, 5])]),
    g.node('MatMul', ['x', g.weight('t', [5, 4])], { transpose_b: flag(true) }),
  ],
  Einsum: (g) => [
    g.node('Einsum', [g.input('x', [-1, 4, 6]), g.weight('heads', [6, 2, 3])], {
      equation: text('abc,cde->abde'),
    }),
    g.node('Einsum', ['x', 'x'], { equation: text('aec, abc -> acbe') }),
  ],
  BatchMatMul: product('BatchMatMul', 'adj_y'),
  BatchMatMulV2: product('BatchMatMulV2', 'adj_y'),
  _FusedMatMul: (g) =>
    g.node('_FusedMatMul', [g.input('x', [-1, 4]), g.weight('b', [4, 5]), g.weight('bias', [5])], {
      fused_ops: texts(['BiasAdd', 'Sigmoid']),
      num_args: int(1),
    }),
})
