import { makeNode } from '../builder.ts'
import type { Attributes, Node } from '../graph.ts'
import { dataTypeCode, Tensor } from '../tensor.ts'
import type { Rewriter } from './rewriter.ts'

type Lowering = (node: Node, attributes: Attributes, rewriter: Rewriter) => Node[] | undefined

/**
 * The operators of the domain `ai.onnx.ml` that scikit-learn's converter puts around and in place of dense layers,
 * written with the standard's operators. Forms that have no such equivalent stay: undefined.
 */
export const CLASSICAL: Readonly<Record<string, Lowering>> = {
  Scaler: scaler,
  Normalizer: normalizer,
  LinearClassifier: linearClassifier,
}

const asFloat = (rewriter: Rewriter, x: string): string =>
  rewriter.op('Cast', [x], { to: dataTypeCode('float32') })

/** In the place of the node: its result number `index` is computed by this operator. */
const inPlaceOf = (node: Node, index: number, opType: string, inputs: readonly string[]): Node =>
  makeNode(opType, inputs, [node.outputs[index]!], {}, node.name)

/** (x - offset) scale, per feature or for all. */
function scaler(node: Node, attributes: Attributes, rewriter: Rewriter): Node[] {
  const offset = rewriter.floats(attributes.floats('offset') ?? [0])
  const scale = rewriter.floats(attributes.floats('scale') ?? [1])
  const centred = rewriter.op('Sub', [asFloat(rewriter, node.inputs[0]!), offset])
  return [inPlaceOf(node, 0, 'Mul', [centred, scale])]
}

/** Each row over its norm. */
function normalizer(node: Node, attributes: Attributes, rewriter: Rewriter): Node[] | undefined {
  const norms: Readonly<Record<string, string>> = { L1: 'ReduceL1', L2: 'ReduceL2' }
  const norm = norms[attributes.string('norm', 'MAX')]
  if (norm === undefined) return undefined
  const x = asFloat(rewriter, node.inputs[0]!)
  return [inPlaceOf(node, 0, 'Div', [x, rewriter.op(norm, [x, rewriter.int64s([-1])])])]
}

/** Its second output has the scores; the label, where something reads it, stays with a node of its own. */
function linearClassifier(node: Node, attributes: Attributes, rewriter: Rewriter): Node[] | undefined {
  const transforms: Readonly<Record<string, string>> = {
    NONE: 'Identity',
    SOFTMAX: 'Softmax',
    LOGISTIC: 'Sigmoid',
  }
  const transform = transforms[attributes.string('post_transform', 'NONE')]
  const coefficients = attributes.floats('coefficients') ?? []
  const intercepts = attributes.floats('intercepts') ?? []
  const [label, scores] = node.outputs
  const classes = intercepts.length
  // A single row stands for two classes, whose scores depend on more than the transformation.
  if (transform === undefined || classes < 2 || !scores) return undefined
  const weights = Tensor.float32([classes, coefficients.length / classes], coefficients)
  const linear = rewriter.op(
    'Gemm',
    [
      asFloat(rewriter, node.inputs[0]!),
      rewriter.op('Constant', [], { value: weights }),
      rewriter.floats(intercepts),
    ],
    { transB: 1 },
  )
  const labels = label ? [{ ...node, name: '', outputs: [label, rewriter.fresh('scores')] }] : []
  return [...labels, inPlaceOf(node, 1, transform, [linear])]
}
