import type { Attributes, Node } from '../graph.ts'
import { Tensor } from '../tensor.ts'
import type { Rewriter } from './rewriter.ts'
import { changed, intsToInput, type Step, step, withInput } from './step.ts'

const REDUCTIONS = 'Max Mean Min Prod L1 L2 LogSum LogSumExp SumSquare'.split(' ')

/** What used to be attributes became inputs, so that it could be computed. */
export const ATTRIBUTES_TO_INPUTS: readonly Step[] = [
  intsToInput('Squeeze', 13, 'axes', 1),
  intsToInput('Unsqueeze', 13, 'axes', 1),
  intsToInput('ReduceSum', 13, 'axes', 1),
  ...REDUCTIONS.map((name) => intsToInput(`Reduce${name}`, 18, 'axes', 1)),
  step('Slice', 10, slice),
  step('TopK', 10, topK),
  step('Pad', 11, pad),
  step('Clip', 11, clip),
  step('Dropout', 12, dropout),
  intsToInput('Split', 13, 'split', 1),
  step('Split', 18, equalSplit),
]

function slice(node: Node, attributes: Attributes, rewriter: Rewriter): Node {
  const starts = attributes.ints('starts') ?? []
  const ends = attributes.ints('ends') ?? []
  const axes = attributes.ints('axes') ?? starts.map((_, axis) => axis)
  return changed(node, {
    inputs: [node.inputs[0]!, ...[starts, ends, axes].map((values) => rewriter.int64s(values))],
    without: ['starts', 'ends', 'axes'],
  })
}

function topK(node: Node, attributes: Attributes, rewriter: Rewriter): Node {
  const k = rewriter.int64s([attributes.int('k', 0)])
  return changed(node, { inputs: [node.inputs[0]!, k], without: ['k'] })
}

function pad(node: Node, attributes: Attributes, rewriter: Rewriter): Node {
  const [x] = node.inputs
  const value = attributes.float('value', 0)
  return changed(node, {
    inputs: [
      x!,
      rewriter.int64s(attributes.ints('pads') ?? []),
      value === 0 ? '' : rewriter.floatLike(value, x!),
    ],
    without: ['pads', 'value'],
  })
}

function clip(node: Node, attributes: Attributes, rewriter: Rewriter): Node {
  const [x] = node.inputs
  const bound = (name: string): string =>
    attributes.has(name) ? rewriter.floatLike(attributes.float(name, 0), x!) : ''
  return changed(node, { inputs: [x!, bound('min'), bound('max')], without: ['min', 'max'] })
}

function dropout(node: Node, attributes: Attributes, rewriter: Rewriter): Node {
  const ratio = rewriter.op('Constant', [], { value: Tensor.float32([], [attributes.float('ratio', 0.5)]) })
  return changed(node, { inputs: withInput(node, 1, ratio), without: ['ratio'] })
}

/** Without sizes, the input is split into as many equal parts as there are outputs. */
function equalSplit(node: Node): Node {
  return node.inputs[1] ? node : changed(node, { with: { num_outputs: node.outputs.length } })
}
