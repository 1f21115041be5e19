import { ZooError } from '../../manifests/error.ts'
import type { DataType, Tensor } from './tensor.ts'

/** An attribute as the file has it. Integers are bigint, exactly as wide as ONNX's; see `attributes` below for reading them. */
export type Attribute =
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'int'; readonly value: bigint }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'tensor'; readonly value: Tensor }
  | { readonly type: 'graph'; readonly value: Graph }
  /** An encoded `TypeProto`, as operators on sequences and optionals have. */
  | { readonly type: 'type'; readonly value: Uint8Array }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'ints'; readonly value: readonly bigint[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'tensors'; readonly value: readonly Tensor[] }
  | { readonly type: 'graphs'; readonly value: readonly Graph[] }
  /** Inside a model-local function: the value of the caller's attribute of that name. */
  | { readonly type: 'reference'; readonly value: string; readonly of: AttributeType }

export type AttributeType = Exclude<Attribute['type'], 'reference'>

type Values = { [A in Exclude<Attribute, { type: 'reference' }> as A['type']]: A['value'] }

export interface Node {
  readonly name: string
  readonly opType: string
  /** `''` is the standard domain (`ai.onnx`). */
  readonly domain: string
  /** Value names; `''` stands for an absent optional input or output. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, Attribute>
  readonly overload?: string
  readonly metadata?: ReadonlyMap<string, string>
}

/** A dimension is a number, a symbol such as `N`, or null where the file says nothing. */
export type Dim = number | string | null

export interface ValueInfo {
  readonly name: string
  /** `undefined` (the ONNX type of that name) where the file gives none, or the value is not a tensor. */
  readonly dtype: DataType
  /** null where the file gives no shape at all. */
  readonly dims: readonly Dim[] | null
  /** For a sequence, map, optional or sparse tensor: its type as the file has it, an encoded `TypeProto`. */
  readonly otherType?: Uint8Array
}

export interface Graph {
  name: string
  inputs: ValueInfo[]
  outputs: ValueInfo[]
  /** In topological order. */
  nodes: Node[]
  initializers: Map<string, Tensor>
  /** Types and shapes of inner values, as far as the file tells. */
  valueInfo: Map<string, ValueInfo>
}

export interface FunctionDefinition {
  readonly name: string
  readonly domain: string
  readonly overload: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: readonly string[]
  readonly defaults: ReadonlyMap<string, Attribute>
  readonly nodes: readonly Node[]
  readonly opsets: ReadonlyMap<string, number>
}

export interface Model {
  irVersion: number
  /** Domain to version; the standard domain is `''`. */
  opsets: Map<string, number>
  producer: string
  producerVersion?: string
  domain?: string
  modelVersion?: bigint
  description?: string
  metadata: Map<string, string>
  graph: Graph
  functions: FunctionDefinition[]
  /** Fields of the file that this form has no place for and that no output depends on, such as `NodeProto.doc_string`. */
  omitted?: readonly string[]
}

export const emptyGraph = (name: string): Graph => ({
  name,
  inputs: [],
  outputs: [],
  nodes: [],
  initializers: new Map(),
  valueInfo: new Map(),
})

/** Opset and IR version of every graph that we build: rules are written for this form. */
export const BUILT_OPSET = 18
export const BUILT_IR_VERSION = 8

export const modelOf = (graph: Graph): Model => ({
  irVersion: BUILT_IR_VERSION,
  opsets: new Map([['', BUILT_OPSET]]),
  producer: 'robust-zoo',
  metadata: new Map(),
  graph,
  functions: [],
})

/** Reads a node's attributes by type, with the standard's default; a wrong type is an `invalid-model` error naming the node. */
export class Attributes {
  readonly #node: Node

  constructor(node: Node) {
    this.#node = node
  }

  has(name: string): boolean {
    return this.#node.attributes.has(name)
  }

  float(name: string, fallback: number): number {
    return this.#get(name, 'float') ?? fallback
  }

  /** An integer as a number; values beyond 2^53 are clamped. */
  int(name: string, fallback: number): number {
    const value = this.#get(name, 'int')
    return value === undefined ? fallback : clamped(value)
  }

  string(name: string, fallback: string): string {
    return this.#get(name, 'string') ?? fallback
  }

  ints(name: string): number[] | undefined {
    return this.#get(name, 'ints')?.map(clamped)
  }

  floats(name: string): readonly number[] | undefined {
    return this.#get(name, 'floats')
  }

  tensor(name: string): Tensor | undefined {
    return this.#get(name, 'tensor')
  }

  graph(name: string): Graph | undefined {
    return this.#get(name, 'graph')
  }

  #get<T extends AttributeType>(name: string, type: T): Values[T] | undefined {
    const attribute = this.#node.attributes.get(name)
    if (attribute === undefined) return undefined
    if (attribute.type !== type)
      throw new ZooError(
        'invalid-model',
        `attribute ${name} of ${describe(this.#node)} is of type ${attribute.type}, not ${type}`,
      )
    return attribute.value as Values[T]
  }
}

const LIMIT = BigInt(Number.MAX_SAFE_INTEGER)
const clamped = (value: bigint): number => Number(value > LIMIT ? LIMIT : value < -LIMIT ? -LIMIT : value)

/** How errors name a node: operator, then the node's own name or its first output. */
export const describe = (node: Node): string =>
  `${node.domain === '' ? '' : `${node.domain}.`}${node.opType} "${node.name || node.outputs[0] || ''}"`
