import { z } from 'zod'
import { ZooError } from '../../../manifests/error.ts'
import type { DataType } from '../../onnx/tensor.ts'

/** 64-bit integers come as numbers or as strings. */
const integer = z.union([z.int(), z.string().regex(/^-?\d+$/)]).transform(Number)
const shapeSchema = z.object({
  dim: z.array(z.object({ size: integer.optional() })).optional(),
  unknownRank: z.boolean().optional(),
})
const attributeSchema = z.object({
  i: integer.optional(),
  f: z.union([z.number(), z.string()]).transform(Number).optional(),
  b: z.boolean().optional(),
  /** Base64, or the characters' codes. */
  s: z.union([z.string(), z.array(z.number())]).optional(),
  type: z.union([z.string(), z.number()]).optional(),
  shape: shapeSchema.optional(),
  list: z
    .object({
      i: z.array(integer).optional(),
      f: z.array(z.number()).optional(),
      s: z.array(z.union([z.string(), z.array(z.number())])).optional(),
    })
    .optional(),
})
const nodeSchema = z.object({
  name: z.string(),
  op: z.string(),
  input: z.array(z.string()).default([]),
  attr: z.record(z.string(), attributeSchema).default({}),
})
const graphSchema = z.object({ node: z.array(nodeSchema) })

type Attribute = z.infer<typeof attributeSchema>

/** One of a node's results. */
export interface NodeOutput {
  readonly node: string
  readonly output: number
}

export interface GraphNode {
  readonly name: string
  readonly op: string
  /** Without control dependencies, which order nodes but carry nothing. */
  readonly inputs: readonly NodeOutput[]
  readonly attributes: NodeAttributes
}

/**
 * Reads the nodes of a TensorFlow GraphDef as tfjs writes it in JSON.
 *
 * @throws ZooError `invalid-model`
 */
export function parseGraph(topology: unknown): Map<string, GraphNode> {
  const result = graphSchema.safeParse(topology)
  if (!result.success)
    throw new ZooError('invalid-model', `the graph cannot be read:\n${z.prettifyError(result.error)}`)
  const nodes = new Map<string, GraphNode>()
  for (const { name, op, input, attr } of result.data.node) {
    if (nodes.has(name)) throw new ZooError('invalid-model', `two nodes are called ${name}`)
    const inputs = input.filter((entry) => !entry.startsWith('^')).map(parseOutput)
    nodes.set(name, { name, op, inputs, attributes: new NodeAttributes(name, attr) })
  }
  return nodes
}

/** `node`, `node:1`, or `node:name:1`. */
export function parseOutput(text: string): NodeOutput {
  const [node, ...rest] = text.split(':')
  return { node: node!, output: rest.length === 0 ? 0 : Number(rest.at(-1)) }
}

/** A node's attributes by type; where one is missing, the given value, which is TensorFlow's own default. */
export class NodeAttributes {
  readonly #node: string
  readonly #values: Readonly<Record<string, Attribute>>

  constructor(node: string, values: Readonly<Record<string, Attribute>>) {
    this.#node = node
    this.#values = values
  }

  int(name: string, fallback: number): number {
    return this.#values[name]?.i ?? fallback
  }

  float(name: string, fallback: number): number {
    return this.#values[name]?.f ?? fallback
  }

  flag(name: string): boolean {
    return this.#values[name]?.b ?? false
  }

  text(name: string, fallback: string): string {
    const value = this.#values[name]?.s
    return value === undefined ? fallback : decoded(value)
  }

  texts(name: string): string[] {
    return this.#values[name]?.list?.s?.map(decoded) ?? []
  }

  ints(name: string): readonly number[] | undefined {
    return this.#values[name]?.list?.i
  }

  /** The shape that a placeholder declares, with -1 for what it leaves open; undefined where not even the rank is known. */
  shape(name: string): readonly number[] | undefined {
    const shape = this.#values[name]?.shape
    return shape && !shape.unknownRank ? (shape.dim ?? []).map(({ size }) => size ?? -1) : undefined
  }

  /** An element type as tfjs holds it: whatever is a float is float32, whatever is an integer int32. */
  dtype(name: string, fallback: DataType): DataType {
    const value = this.#values[name]?.type
    if (value === undefined) return fallback
    const known = DTYPES[String(value)]
    if (known === undefined)
      throw new ZooError(
        'unsupported-model',
        `node ${this.#node} is of type ${value}, which tfjs does not compute with`,
      )
    return known
  }
}

/** By TensorFlow's names and numbers. */
const DTYPES: Readonly<Record<string, DataType>> = {
  DT_FLOAT: 'float32',
  DT_HALF: 'float32',
  DT_DOUBLE: 'float32',
  DT_INT32: 'int32',
  DT_INT64: 'int32',
  DT_INT8: 'int32',
  DT_UINT8: 'int32',
  DT_BOOL: 'bool',
  1: 'float32',
  19: 'float32',
  2: 'float32',
  3: 'int32',
  9: 'int32',
  6: 'int32',
  4: 'int32',
  10: 'bool',
}

const decoded = (value: string | readonly number[]): string =>
  typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : String.fromCharCode(...value)
