import { toBinary } from '@bufbuild/protobuf'
import { ZooError } from '../../../manifests/error.ts'
import type { Attribute, Dim, FunctionDefinition, Graph, Model, Node, ValueInfo } from '../graph.ts'
import {
  type AttributeProto,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type OperatorSetIdProto,
  type StringStringEntryProto,
  AttributeProto_AttributeType as Type,
  TypeProtoSchema,
  type ValueInfoProto,
} from '../schema/onnx_pb.ts'
import { dataTypeFromCode, type Tensor } from '../tensor.ts'
import { attributeTypeName } from './attribute-types.ts'
import { decodedTensor, densified, type OpenExternal, utf8 } from './tensor.ts'

/** Turns a parsed message into a `Model`, checking what the rest of the code relies on. */
export function decodedModel(message: ModelProto, openExternal: OpenExternal | undefined): Model {
  if (!message.graph || message.irVersion < 1n)
    throw new ZooError('invalid-model', 'this is not a whole ONNX model: it has no graph or no IR version', {
      hint: 'the file is damaged, cut short, or of another format',
    })
  const { producerVersion, domain, modelVersion, docString } = message
  return {
    irVersion: Number(message.irVersion),
    opsets: decodedOpsets(message.opsetImport),
    producer: message.producerName,
    ...(producerVersion && { producerVersion }),
    ...(domain && { domain }),
    ...(modelVersion && { modelVersion }),
    ...(docString && { description: docString }),
    metadata: decodedEntries(message.metadataProps),
    graph: decodedGraph(message.graph, openExternal),
    functions: message.functions.map((definition) => decodedFunction(definition, openExternal)),
  }
}

function decodedGraph(message: GraphProto, openExternal: OpenExternal | undefined): Graph {
  const initializers = new Map<string, Tensor>()
  const add = (name: string, tensor: Tensor) => {
    if (initializers.has(name)) throw new ZooError('invalid-model', `two initialisers are named "${name}"`)
    initializers.set(name, tensor)
  }
  for (const tensor of message.initializer) add(tensor.name, decodedTensor(tensor, openExternal))
  for (const sparse of message.sparseInitializer) add(sparse.values?.name ?? '', densified(sparse))
  return {
    name: message.name,
    inputs: message.input.map(decodedValue),
    outputs: message.output.map(decodedValue),
    nodes: message.node.map((node) => decodedNode(node, openExternal)),
    initializers,
    valueInfo: new Map(message.valueInfo.map((value) => [value.name, decodedValue(value)])),
  }
}

function decodedNode(message: NodeProto, openExternal: OpenExternal | undefined): Node {
  const { name, opType, overload } = message
  if (opType === '')
    throw new ZooError('invalid-model', `node "${name || message.output[0]}" has no operator`)
  const attributes = new Map<string, Attribute>()
  for (const attribute of message.attribute) {
    if (attribute.name === '' || attributes.has(attribute.name))
      throw new ZooError('invalid-model', `${opType} "${name}" has two attributes named "${attribute.name}"`)
    attributes.set(attribute.name, decodedAttribute(attribute, `${opType} "${name}"`, openExternal))
  }
  return {
    name,
    opType,
    domain: standardDomain(message.domain),
    inputs: message.input,
    outputs: message.output,
    attributes,
    ...(overload && { overload }),
    ...(message.metadataProps.length > 0 && { metadata: decodedEntries(message.metadataProps) }),
  }
}

function decodedAttribute(
  message: AttributeProto,
  owner: string,
  openExternal: OpenExternal | undefined,
): Attribute {
  const type = message.type === Type.UNDEFINED ? typeByContent(message) : message.type
  const refuse = (what: string): never => {
    throw new ZooError('unsupported-model', `attribute ${message.name} of ${owner} ${what}`)
  }
  if (message.refAttrName !== '') {
    const of = attributeTypeName(type) ?? refuse(`refers to another of type ${type}`)
    return { type: 'reference', value: message.refAttrName, of }
  }
  switch (type) {
    case Type.FLOAT:
      return { type: 'float', value: message.f }
    case Type.INT:
      return { type: 'int', value: message.i }
    case Type.STRING:
      return { type: 'string', value: utf8(message.s) }
    case Type.TENSOR:
      return { type: 'tensor', value: decodedTensor(message.t ?? refuse('lacks its tensor'), openExternal) }
    case Type.SPARSE_TENSOR:
      return { type: 'tensor', value: densified(message.sparseTensor ?? refuse('lacks its tensor')) }
    case Type.GRAPH:
      return { type: 'graph', value: decodedGraph(message.g ?? refuse('lacks its graph'), openExternal) }
    case Type.FLOATS:
      return { type: 'floats', value: message.floats }
    case Type.INTS:
      return { type: 'ints', value: message.ints }
    case Type.STRINGS:
      return { type: 'strings', value: message.strings.map(utf8) }
    case Type.TENSORS:
      return { type: 'tensors', value: message.tensors.map((tensor) => decodedTensor(tensor, openExternal)) }
    case Type.GRAPHS:
      return { type: 'graphs', value: message.graphs.map((graph) => decodedGraph(graph, openExternal)) }
    case Type.TYPE_PROTO:
      return {
        type: 'type',
        value: toBinary(TypeProtoSchema, message.tp ?? refuse('lacks its type')),
      }
    default:
      return refuse(`is of type ${Type[type] ?? type}, which is not supported`)
  }
}

/** Files of IR version 1 leave the type out: it is that of the one field that has content. */
function typeByContent(message: AttributeProto): Type {
  if (Object.hasOwn(message, 'f')) return Type.FLOAT
  if (Object.hasOwn(message, 'i')) return Type.INT
  if (Object.hasOwn(message, 's')) return Type.STRING
  if (message.t) return Type.TENSOR
  if (message.g) return Type.GRAPH
  if (message.floats.length > 0) return Type.FLOATS
  if (message.ints.length > 0) return Type.INTS
  if (message.strings.length > 0) return Type.STRINGS
  return Type.UNDEFINED
}

function decodedValue(message: ValueInfoProto): ValueInfo {
  const { name } = message
  const type = message.type?.value
  if (message.type === undefined || type?.case === undefined) return { name, dtype: 'undefined', dims: null }
  if (type.case !== 'tensorType')
    return { name, dtype: 'undefined', dims: null, otherType: toBinary(TypeProtoSchema, message.type) }
  const dtype = dataTypeFromCode(type.value.elemType)
  if (dtype === undefined)
    throw new ZooError(
      'unsupported-model',
      `value "${name}" has element type ${type.value.elemType}, which is unknown`,
    )
  const dims = type.value.shape?.dim.map(({ value }): Dim => {
    if (value.case === 'dimValue') return value.value < 0n ? null : Number(value.value)
    return value.value || null
  })
  return { name, dtype, dims: dims ?? null }
}

function decodedFunction(message: FunctionProto, openExternal: OpenExternal | undefined): FunctionDefinition {
  const defaults = message.attributeProto.map((attribute) => {
    const value = decodedAttribute(attribute, `function "${message.name}"`, openExternal)
    return [attribute.name, value] as const
  })
  return {
    name: message.name,
    domain: standardDomain(message.domain),
    overload: message.overload,
    inputs: message.input,
    outputs: message.output,
    attributes: message.attribute,
    defaults: new Map(defaults),
    nodes: message.node.map((node) => decodedNode(node, openExternal)),
    opsets: decodedOpsets(message.opsetImport),
  }
}

/** `ai.onnx` and the empty string name the same domain. */
const standardDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain)

const decodedOpsets = (opsets: readonly OperatorSetIdProto[]): Map<string, number> =>
  new Map(opsets.map(({ domain, version }) => [standardDomain(domain), Number(version)]))

const decodedEntries = (entries: readonly StringStringEntryProto[]): Map<string, string> =>
  new Map(entries.map(({ key, value }) => [key, value]))
