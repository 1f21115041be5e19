import { Attributes, type Graph, type Node } from '../graph.ts'
import type { Tensor } from '../tensor.ts'

/** Operators whose output has as many axes as their first input. */
const SAME_RANK = new Set(
  (
    'Abs Add AveragePool BatchNormalization Cast Ceil Clip Conv ConvTranspose DepthToSpace Div Dropout Elu Exp Floor ' +
    'GlobalAveragePool GlobalMaxPool HardSigmoid Identity InstanceNormalization LRN LeakyRelu Log LogSoftmax ' +
    'LpNormalization LpPool MaxPool Mul Neg PRelu Pad Pow Relu Selu Sigmoid Slice Softmax Softplus Softsign ' +
    'SpaceToDepth Split Sqrt Sub Sum Tanh ThresholdedRelu Transpose Upsample'
  ).split(' '),
)

/** Of those, the ones that broadcast: their rank is that of the input with most axes. */
const BROADCASTING = new Set('Add Div Mul Pow Sub Sum'.split(' '))

/**
 * How many axes each value has, as far as the file's own declarations and the simplest operators tell. Good enough to
 * see that a softmax works along the last axis; whoever needs more runs the model, as `probe` does.
 */
export function ranksOf(
  graph: Graph,
  constants: ReadonlyMap<string, Tensor>,
): (value: string) => number | undefined {
  const ranks = new Map<string, number | undefined>()
  for (const [name, tensor] of constants) ranks.set(name, tensor.dims.length)
  for (const { name, dims } of [...graph.valueInfo.values(), ...graph.outputs, ...graph.inputs])
    if (dims) ranks.set(name, dims.length)
  for (const node of graph.nodes)
    for (const output of node.outputs)
      if (!ranks.has(output))
        ranks.set(
          output,
          rankOf(node, (name) => ranks.get(name), constants),
        )
  return (value) => ranks.get(value)
}

function rankOf(
  node: Node,
  rank: (value: string) => number | undefined,
  constants: ReadonlyMap<string, Tensor>,
): number | undefined {
  const inputs = node.inputs.map(rank)
  if (BROADCASTING.has(node.opType))
    return inputs.reduce((most, next) =>
      most === undefined || next === undefined ? undefined : Math.max(most, next),
    )
  if (SAME_RANK.has(node.opType)) return inputs[0]
  switch (node.opType) {
    case 'Flatten':
    case 'Gemm':
      return 2
    case 'MatMul':
      return inputs[0] === 1 || inputs[1] === 1 || inputs[0] === undefined || inputs[1] === undefined
        ? undefined
        : Math.max(inputs[0], inputs[1])
    case 'Reshape':
      return constants.get(node.inputs[1]!)?.size
    case 'Squeeze':
    case 'Unsqueeze': {
      const axes = new Attributes(node).ints('axes')?.length ?? constants.get(node.inputs[1] ?? '')?.size
      if (axes === undefined || inputs[0] === undefined) return undefined
      return node.opType === 'Squeeze' ? inputs[0] - axes : inputs[0] + axes
    }
    default:
      return node.opType.startsWith('Reduce') && new Attributes(node).int('keepdims', 1) === 1
        ? inputs[0]
        : undefined
  }
}
