import { ZooError } from '../../../manifests/error.ts'
import { type Attributes, describe, type Node } from '../graph.ts'
import type { Rewriter } from './rewriter.ts'
import { changed, type Step, step } from './step.ts'

const BINARY = 'Add Sub Mul Div Pow And Or Xor Equal Greater Less'.split(' ')

/** In opset 6 the second operand was stretched where an attribute said so, aligned at `axis`; since 7 as in NumPy. */
export const BROADCASTING: readonly Step[] = [
  ...BINARY.map((name) => step(name, 7, alignedAtAxis)),
  step('PRelu', 7, (node, _, rewriter) => withTrailingAxes(node, 1, rewriter)),
  step('Gemm', 7, (node) => changed(node, { without: ['broadcast'] })),
  step('BatchNormalization', 7, (node) => changed(node, { without: ['is_test'] })),
  step('Dropout', 7, (node) => changed(node, { without: ['is_test'] })),
]

function alignedAtAxis(node: Node, attributes: Attributes, rewriter: Rewriter): Node {
  const plain = changed(node, { without: ['broadcast', 'axis'] })
  if (!attributes.has('axis') || attributes.int('broadcast', 0) === 0) return plain
  return withTrailingAxes(plain, attributes.int('axis', 0), rewriter)
}

/** Gives the second operand axes of size 1 at its end, so that its first axis lies at `axis` of the first operand. */
function withTrailingAxes(node: Node, axis: number, rewriter: Rewriter): Node {
  const [a, b] = node.inputs
  const rank = rewriter.rank(a!)
  const own = rewriter.rank(b!)
  if (rank === undefined || own === undefined)
    throw new ZooError('unsupported-model', `${describe(node)} broadcasts in the way of opset 6`, {
      hint: "convert the model to a newer opset with ONNX's version converter",
    })
  const missing = rank - (axis < 0 ? axis + rank : axis) - own
  if (missing <= 0) return node
  const axes = rewriter.int64s(Array.from({ length: missing }, (_, i) => own + i))
  return changed(node, { inputs: [a!, rewriter.op('Unsqueeze', [b!, axes])] })
}
