import type { Attribute, Graph, Node } from '../graph.ts'
import { fromBfloat16, fromFloat16 } from '../half.ts'
import { type DataType, dataTypeCode, dataTypeFromCode, Tensor } from '../tensor.ts'

const HALVES: ReadonlySet<DataType> = new Set(['float16', 'bfloat16'])

/**
 * The graph computed in float32 throughout where it has float16 or bfloat16: onnxruntime's CPU provider lacks their
 * kernels, and gradients need the digits.
 */
export function inFloat32(graph: Graph): Graph {
  return {
    ...graph,
    inputs: graph.inputs.map(widenedInfo),
    outputs: graph.outputs.map(widenedInfo),
    nodes: graph.nodes.map(widenedNode),
    initializers: new Map([...graph.initializers].map(([name, tensor]) => [name, widened(tensor)])),
    valueInfo: new Map(),
  }
}

const widenedInfo = <T extends { readonly dtype: DataType }>(info: T): T =>
  HALVES.has(info.dtype) ? { ...info, dtype: 'float32' } : info

function widenedNode(node: Node): Node {
  const attributes = new Map<string, Attribute>()
  for (const [name, attribute] of node.attributes) attributes.set(name, widenedAttribute(name, attribute))
  return { ...node, attributes }
}

function widenedAttribute(name: string, attribute: Attribute): Attribute {
  switch (attribute.type) {
    case 'int': {
      const isType = name === 'to' || name === 'dtype' || name === 'output_dtype'
      return isType && HALVES.has(dataTypeFromCode(Number(attribute.value)) ?? 'float32')
        ? { type: 'int', value: BigInt(dataTypeCode('float32')) }
        : attribute
    }
    case 'tensor':
      return { type: 'tensor', value: widened(attribute.value) }
    case 'graph':
      return { type: 'graph', value: inFloat32(attribute.value) }
    case 'graphs':
      return { type: 'graphs', value: attribute.value.map(inFloat32) }
    default:
      return attribute
  }
}

function widened(tensor: Tensor): Tensor {
  if (!HALVES.has(tensor.dtype)) return tensor
  const read = tensor.dtype === 'float16' ? fromFloat16 : fromBfloat16
  return Tensor.float32(tensor.dims, Float32Array.from(tensor.elements as Uint16Array, read))
}
