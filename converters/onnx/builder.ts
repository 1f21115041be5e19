import type { Attribute, Graph, Node } from './graph.ts'
import { type DataType, Tensor } from './tensor.ts'

/** A float attribute. A plain number in `AttributeValues` is an int, as most are; ONNX tells the two apart. */
export class FloatAttribute {
  readonly value: number | readonly number[]
  constructor(value: number | readonly number[]) {
    this.value = value
  }
}
export const float = (value: number | readonly number[]): FloatAttribute => new FloatAttribute(value)

export type AttributeValue = number | bigint | string | readonly number[] | FloatAttribute | Tensor | Graph
export type AttributeValues = Readonly<Record<string, AttributeValue>>

export interface NodeOptions {
  /** Names the node, and its outputs after it; by default a fresh name after the operator. */
  readonly name?: string
  /** How many outputs, or their names. */
  readonly outputs?: number | readonly string[]
  readonly domain?: string
}

/**
 * Appends nodes to a graph, one call per operator, and names what it makes.
 *
 * @example
 * const b = new GraphBuilder(graph)
 * const y = b.op('Conv', [x, b.floats([1, 1, 3, 3], kernel)], { pads: [1, 1, 1, 1] })
 */
export class GraphBuilder {
  readonly graph: Graph
  readonly #taken: Set<string>
  readonly #constants = new Map<string, string>()
  readonly #next = new Map<string, number>()

  constructor(graph: Graph) {
    this.graph = graph
    this.#taken = new Set([
      ...graph.inputs.map((input) => input.name),
      ...graph.initializers.keys(),
      ...graph.nodes.flatMap((node) => [node.name, ...node.outputs]),
    ])
  }

  /** A name that no value or node of the graph has. */
  fresh(hint: string): string {
    let count = this.#next.get(hint) ?? 0
    let name = count === 0 ? hint : `${hint}_${count}`
    while (this.#taken.has(name)) name = `${hint}_${++count}`
    this.#next.set(hint, count + 1)
    this.#taken.add(name)
    return name
  }

  /** Appends a node and returns its first output's name. */
  op(
    opType: string,
    inputs: readonly string[],
    attributes: AttributeValues = {},
    options: NodeOptions = {},
  ): string {
    return this.ops(opType, inputs, attributes, options)[0]!
  }

  /** Appends a node and returns all its outputs' names. */
  ops(
    opType: string,
    inputs: readonly string[],
    attributes: AttributeValues = {},
    options: NodeOptions = {},
  ): string[] {
    const name = options.name ?? this.fresh(opType)
    const wanted = options.outputs ?? 1
    const outputs =
      typeof wanted === 'number'
        ? Array.from({ length: wanted }, (_, i) => this.fresh(wanted === 1 ? `${name}:out` : `${name}:${i}`))
        : [...wanted]
    for (const output of outputs) this.#taken.add(output)
    this.graph.nodes.push(makeNode(opType, inputs, outputs, attributes, name, options.domain))
    return outputs
  }

  /** Adds a tensor under a name of its own. */
  initializer(tensor: Tensor, hint = 'constant'): string {
    const name = this.fresh(hint)
    this.graph.initializers.set(name, tensor)
    return name
  }

  /** A small constant: equal ones share one initialiser. */
  constant(dtype: DataType, dims: readonly number[], values: readonly number[]): string {
    const key = `${dtype}[${dims}]${values.map((value) => (Object.is(value, -0) ? '-0' : value))}`
    const known = this.#constants.get(key)
    if (known !== undefined) return known
    const name = this.initializer(smallTensor(dtype, dims, values))
    this.#constants.set(key, name)
    return name
  }

  /** A float32 scalar. */
  scalar(value: number): string {
    return this.constant('float32', [], [value])
  }

  /** A one-dimensional int64 constant: axes, shapes, pads. */
  int64s(values: readonly number[]): string {
    return this.constant('int64', [values.length], values)
  }

  floats(dims: readonly number[], values: Float32Array | readonly number[], hint = 'constant'): string {
    return this.initializer(Tensor.float32(dims, values), hint)
  }
}

export function makeNode(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: AttributeValues = {},
  name = outputs[0] ?? opType,
  domain = '',
): Node {
  const entries = Object.entries(attributes).map(([key, value]) => [key, toAttribute(value)] as const)
  return { name, opType, domain, inputs, outputs, attributes: new Map(entries) }
}

function toAttribute(value: AttributeValue): Attribute {
  if (typeof value === 'number' || typeof value === 'bigint') return { type: 'int', value: BigInt(value) }
  if (typeof value === 'string') return { type: 'string', value }
  if (value instanceof Tensor) return { type: 'tensor', value }
  if (value instanceof FloatAttribute)
    return typeof value.value === 'number'
      ? { type: 'float', value: value.value }
      : { type: 'floats', value: value.value }
  if (Array.isArray(value)) return { type: 'ints', value: value.map((item: number) => BigInt(item)) }
  return { type: 'graph', value: value as Graph }
}

function smallTensor(dtype: DataType, dims: readonly number[], values: readonly number[]): Tensor {
  switch (dtype) {
    case 'float32':
      return Tensor.float32(dims, values)
    case 'int64':
      return Tensor.int64(dims, values)
    case 'float64':
      return Tensor.of(dtype, dims, Float64Array.from(values))
    case 'int32':
      return Tensor.of(dtype, dims, Int32Array.from(values))
    case 'bool':
    case 'uint8':
      return Tensor.of(dtype, dims, Uint8Array.from(values))
    default:
      throw new TypeError(`no constants of type ${dtype}`)
  }
}
