import { type Attribute, BUILT_OPSET, describe, type Model, type Node } from '../../converters/onnx/graph.ts'
import { ZooError } from '../../manifests/error.ts'

/** Opset 13 is the first in which the operators below have the forms that we build, but for what `STEPS` says. */
export const OLDEST_OPSET = 13
/** The newest that the installed onnxruntime calls released. */
export const NEWEST_OPSET = 26

/**
 * What networks are built of. Since opset 13 newer versions of these operators took more element types and gained
 * attributes whose defaults are what was before; none took a meaning away.
 */
const OPERATORS = new Set([
  ...['Conv', 'Gemm', 'MatMul', 'MaxPool', 'AveragePool', 'GlobalAveragePool'],
  ...['BatchNormalization', 'InstanceNormalization'],
  ...['Relu', 'Sigmoid', 'Softplus', 'Softmax', 'Add', 'Sub', 'Mul', 'Div'],
  ...['Cast', 'Flatten', 'Reshape', 'Transpose'],
])

/** An attribute that an operator gained at opset `since`, and the value at which it changes nothing. */
interface Step {
  readonly op: string
  readonly since: number
  readonly attribute: string
  readonly neutral: bigint
}

const STEPS: readonly Step[] = [
  { op: 'BatchNormalization', since: 14, attribute: 'training_mode', neutral: 0n },
  { op: 'Reshape', since: 14, attribute: 'allowzero', neutral: 0n },
]

/**
 * A network of ours, built for opset 18, as a model of another opset that computes the same.
 *
 * @throws ZooError `usage` for an opset outside 13 to 26; `unsupported-model` naming what the opset cannot express
 */
export function withOpset(model: Model, opset: number): Model {
  if (!Number.isInteger(opset) || opset < OLDEST_OPSET || opset > NEWEST_OPSET)
    throw new ZooError(
      'usage',
      `opset ${opset} cannot be written: from ${OLDEST_OPSET} to ${NEWEST_OPSET} it can`,
    )
  if (opset === BUILT_OPSET) return model
  return {
    ...model,
    // Readers of opsets 13 and 14 know IR version 7; nothing that we write needs more than 8.
    irVersion: opset < 15 ? 7 : model.irVersion,
    opsets: new Map([['', opset]]),
    graph: { ...model.graph, nodes: model.graph.nodes.map((node) => inOpset(node, opset)) },
  }
}

function inOpset(node: Node, opset: number): Node {
  if (node.domain !== '' || !OPERATORS.has(node.opType))
    throw new ZooError(
      'unsupported-model',
      `there is no step from opset ${BUILT_OPSET} for ${describe(node)}`,
      {
        hint: `export with --opset ${BUILT_OPSET}`,
      },
    )
  const attributes = new Map<string, Attribute>(node.attributes)
  for (const { op, since, attribute, neutral } of STEPS) {
    if (op !== node.opType || opset >= since) continue
    const value = attributes.get(attribute)
    if (value && !(value.type === 'int' && value.value === neutral))
      throw new ZooError(
        'unsupported-model',
        `opset ${opset} cannot express ${attribute} of ${describe(node)}`,
      )
    attributes.delete(attribute)
  }
  return { ...node, attributes }
}
