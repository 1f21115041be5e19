import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import onnxProto from 'onnx-proto'
import { ZooError } from '../../../manifests/error.ts'
import type { Attribute, Dim, FunctionDefinition, Graph, Model, Node, ValueInfo } from '../graph.ts'
import {
  type AttributeProtoSchema,
  type FunctionProtoSchema,
  type GraphProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProto_DataLocation,
  type TensorProtoSchema,
  TypeProtoSchema,
  type ValueInfoProtoSchema,
} from '../schema/onnx_pb.ts'
import { dataTypeCode, type Tensor } from '../tensor.ts'
import { attributeTypeCode } from './attribute-types.ts'
import { forOnnxProto } from './onnx-proto.ts'

/** Where `writeModel` has put a tensor's bytes, or undefined for tensors that go inside. */
export type Placed = (tensor: Tensor) => ReadonlyMap<string, string> | undefined

/** Protobuf readers, onnxruntime's among them, stop at 2 GiB. */
const LARGEST = 2 ** 31 - 1

/** The last IR version that onnx-proto knows, and the last element type in it, bfloat16. */
const KNOWN_IR_VERSION = 8
const KNOWN_DATA_TYPE = 16

export function encodedModel(model: Model, placed: Placed = () => undefined): Uint8Array {
  const encoder = new Encoder(placed)
  const message = encoder.model(model)
  if (encoder.size > LARGEST)
    throw new ZooError(
      'unsupported-model',
      'the model is larger than 2 GiB, the limit of a single .onnx file',
      {
        hint: 'write it to a path, which puts its weights into a second file',
      },
    )
  if (encoder.newer || model.irVersion > KNOWN_IR_VERSION)
    return toBinary(ModelProtoSchema, create(ModelProtoSchema, message))
  return onnxProto.onnx.ModelProto.encode(forOnnxProto(message)).finish()
}

/** Turns a `Model` into the plain form of its message; on the way, notes what only the newer schema can carry. */
class Encoder {
  newer = false
  /** Bytes of the tensors inside. */
  size = 0
  readonly #placed: Placed

  constructor(placed: Placed) {
    this.#placed = placed
  }

  model(model: Model): MessageInitShape<typeof ModelProtoSchema> {
    const { producerVersion, domain, modelVersion, description } = model
    return {
      irVersion: BigInt(model.irVersion),
      opsetImport: opsets(model.opsets),
      producerName: model.producer,
      ...(producerVersion !== undefined && { producerVersion }),
      ...(domain !== undefined && { domain }),
      ...(modelVersion !== undefined && { modelVersion }),
      ...(description !== undefined && { docString: description }),
      graph: this.graph(model.graph),
      metadataProps: entries(model.metadata),
      functions: model.functions.map((definition) => this.function(definition)),
    }
  }

  graph(graph: Graph): MessageInitShape<typeof GraphProtoSchema> {
    return {
      name: graph.name,
      node: graph.nodes.map((node) => this.node(node)),
      initializer: Array.from(graph.initializers, ([name, tensor]) => ({ name, ...this.tensor(tensor) })),
      input: graph.inputs.map(valueInfo),
      output: graph.outputs.map(valueInfo),
      valueInfo: Array.from(graph.valueInfo.values(), valueInfo),
    }
  }

  node(node: Node): MessageInitShape<typeof NodeProtoSchema> {
    this.newer ||= node.overload !== undefined || node.metadata !== undefined
    return {
      name: node.name,
      opType: node.opType,
      domain: node.domain,
      input: [...node.inputs],
      output: [...node.outputs],
      attribute: this.attributes(node.attributes),
      ...(node.overload !== undefined && { overload: node.overload }),
      ...(node.metadata !== undefined && { metadataProps: entries(node.metadata) }),
    }
  }

  attributes(attributes: ReadonlyMap<string, Attribute>): MessageInitShape<typeof AttributeProtoSchema>[] {
    return Array.from(attributes, ([name, attribute]) => ({ name, ...this.attribute(attribute) }))
  }

  attribute(attribute: Attribute): MessageInitShape<typeof AttributeProtoSchema> {
    if (attribute.type === 'reference')
      return { refAttrName: attribute.value, type: attributeTypeCode(attribute.of) }
    return { type: attributeTypeCode(attribute.type), ...this.content(attribute) }
  }

  content(
    attribute: Exclude<Attribute, { type: 'reference' }>,
  ): MessageInitShape<typeof AttributeProtoSchema> {
    switch (attribute.type) {
      case 'float':
        return { f: attribute.value }
      case 'int':
        return { i: attribute.value }
      case 'string':
        return { s: Buffer.from(attribute.value) }
      case 'tensor':
        return { t: this.tensor(attribute.value) }
      case 'graph':
        return { g: this.graph(attribute.value) }
      case 'type':
        return { tp: fromBinary(TypeProtoSchema, attribute.value) }
      case 'floats':
        return { floats: [...attribute.value] }
      case 'ints':
        return { ints: [...attribute.value] }
      case 'strings':
        return { strings: attribute.value.map((text) => Buffer.from(text)) }
      case 'tensors':
        return { tensors: attribute.value.map((tensor) => this.tensor(tensor)) }
      case 'graphs':
        return { graphs: attribute.value.map((graph) => this.graph(graph)) }
    }
  }

  tensor(tensor: Tensor): MessageInitShape<typeof TensorProtoSchema> {
    const dataType = dataTypeCode(tensor.dtype)
    this.newer ||= dataType > KNOWN_DATA_TYPE
    const head = { dims: tensor.dims.map(BigInt), dataType }
    if (tensor.strings) return { ...head, stringData: tensor.strings.map((text) => Buffer.from(text)) }
    const place = this.#placed(tensor)
    if (place)
      return { ...head, dataLocation: TensorProto_DataLocation.EXTERNAL, externalData: entries(place) }
    this.size += tensor.file?.length ?? tensor.bytes.byteLength
    // A message of which nothing can be made need not be read from its file first.
    return this.size > LARGEST ? head : { ...head, rawData: tensor.bytes as Uint8Array<ArrayBuffer> }
  }

  function(definition: FunctionDefinition): MessageInitShape<typeof FunctionProtoSchema> {
    this.newer ||= definition.defaults.size > 0 || definition.overload !== ''
    return {
      name: definition.name,
      domain: definition.domain,
      overload: definition.overload,
      input: [...definition.inputs],
      output: [...definition.outputs],
      attribute: [...definition.attributes],
      attributeProto: this.attributes(definition.defaults),
      node: definition.nodes.map((node) => this.node(node)),
      opsetImport: opsets(definition.opsets),
    }
  }
}

function valueInfo({
  name,
  dtype,
  dims,
  otherType,
}: ValueInfo): MessageInitShape<typeof ValueInfoProtoSchema> {
  if (otherType) return { name, type: fromBinary(TypeProtoSchema, otherType) }
  if (dtype === 'undefined') return { name }
  const shape = dims && { shape: { dim: dims.map(dimension) } }
  return { name, type: { value: { case: 'tensorType', value: { elemType: dataTypeCode(dtype), ...shape } } } }
}

function dimension(dim: Dim) {
  if (dim === null) return {}
  return {
    value:
      typeof dim === 'number'
        ? { case: 'dimValue' as const, value: BigInt(dim) }
        : { case: 'dimParam' as const, value: dim },
  }
}

const opsets = (versions: ReadonlyMap<string, number>) =>
  Array.from(versions, ([domain, version]) => ({ domain, version: BigInt(version) }))

const entries = (map: ReadonlyMap<string, string>) => Array.from(map, ([key, value]) => ({ key, value }))
