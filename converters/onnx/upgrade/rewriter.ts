import { type AttributeValues, makeNode } from '../builder.ts'
import type { Node } from '../graph.ts'
import { type DataType, Tensor } from '../tensor.ts'

/** What a step can ask of the graph around a node, and how it makes the nodes that take the node's place. */
export interface Rewriter {
  /** Adds a node before the one that is being rewritten, and returns its output. */
  op(opType: string, inputs: readonly string[], attributes?: AttributeValues): string
  /** A name that no value of the model has. */
  fresh(hint: string): string
  /** A one-dimensional int64 constant. */
  int64s(values: readonly number[]): string
  /** A float constant in the element type of `like`. */
  floatLike(value: number, like: string): string
  floats(values: readonly number[]): string
  /** Number of axes, where it can be told without running the model. */
  rank(value: string): number | undefined
  constant(value: string): Tensor | undefined
}

/** What can be told of a graph's values without running it. */
export interface Known {
  rank(value: string): number | undefined
  dtype(value: string): DataType | undefined
  constant(value: string): Tensor | undefined
}

/** Constants are made as nodes, for function bodies have no initialisers; `normalise` turns them into initialisers. */
export class NodeRewriter implements Rewriter {
  readonly nodes: Node[] = []
  readonly #hint: string
  readonly #fresh: (hint: string) => string
  readonly #known: Known

  constructor(node: Node, fresh: (hint: string) => string, known: Known) {
    this.#hint = node.outputs[0] || node.name || node.opType
    this.#fresh = fresh
    this.#known = known
  }

  op(opType: string, inputs: readonly string[], attributes: AttributeValues = {}): string {
    const output = this.fresh(opType)
    this.nodes.push(makeNode(opType, inputs, [output], attributes))
    return output
  }

  fresh(hint: string): string {
    return this.#fresh(`${this.#hint}/${hint}`)
  }

  int64s(values: readonly number[]): string {
    return this.op('Constant', [], { value: Tensor.int64([values.length], values) })
  }

  floats(values: readonly number[]): string {
    return this.op('Constant', [], { value: Tensor.float32([values.length], values) })
  }

  floatLike(value: number, like: string): string {
    const constant = this.op('Constant', [], { value: Tensor.float32([], [value]) })
    return this.#known.dtype(like) === 'float32' ? constant : this.op('CastLike', [constant, like])
  }

  rank(value: string): number | undefined {
    return this.#known.rank(value)
  }

  constant(value: string): Tensor | undefined {
    return this.#known.constant(value)
  }
}
