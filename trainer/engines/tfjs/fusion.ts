import type { Node } from '../../../converters/onnx/graph.ts'

/** Domain of operators that only this engine knows. */
const DOMAIN = 'zoo'

/** How the rule table names an operator. */
export const ruleName = ({ domain, opType }: Node): string => (domain === '' ? opType : `${domain}.${opType}`)

/**
 * Joins each convolution with the batch normalisation after it, where that is in its inference form and nothing else
 * reads what is between: the norm's scale goes into the kernel while it runs. The result and all gradients are
 * the same, and a pass over the largest tensors is saved in each direction.
 *
 * @param kept values that must exist by themselves
 */
export function withFoldedNorms(nodes: readonly Node[], kept: ReadonlySet<string>): readonly Node[] {
  const readers = new Map<string, Node[]>()
  for (const node of nodes)
    for (const name of node.inputs) readers.set(name, [...(readers.get(name) ?? []), node])
  const norms = new Map<Node, Node>()
  for (const node of nodes) {
    const [result] = node.outputs
    if (node.opType !== 'Conv' || result === undefined || kept.has(result)) continue
    const [norm, ...others] = readers.get(result) ?? []
    if (norm && others.length === 0 && norm.inputs[0] === result && isInferenceNorm(norm))
      norms.set(norm, node)
  }
  const gone = new Set(norms.values())
  return nodes
    .filter((node) => !gone.has(node))
    .map((node) => {
      const convolution = norms.get(node)
      return convolution ? joined(convolution, node) : node
    })
}

function isInferenceNorm({ opType, domain, attributes }: Node): boolean {
  const training = attributes.get('training_mode')
  return opType === 'BatchNormalization' && domain === '' && (training === undefined || training.value === 0n)
}

/** Inputs: x, kernel, bias or none, scale, shift, mean, variance. */
function joined(convolution: Node, norm: Node): Node {
  const [x, kernel, bias = ''] = convolution.inputs as [string, string, string?]
  return {
    name: norm.name,
    opType: 'ConvBatchNormalization',
    domain: DOMAIN,
    inputs: [x, kernel, bias, ...norm.inputs.slice(1)],
    outputs: norm.outputs,
    attributes: new Map([...norm.attributes, ...convolution.attributes]),
  }
}
