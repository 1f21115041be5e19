import { ZooError } from '../../manifests/error.ts'
import type { Graph, Model, Node } from './graph.ts'
import { mapSubgraphs, subgraphsOf } from './subgraphs.ts'

/** Gives out names that nothing in a model has. */
export class Names {
  readonly #taken = new Set<string>()
  readonly #next = new Map<string, number>()

  /** All names that a model uses, those inside of subgraphs and functions included. */
  static of(model: Model): Names {
    const names = new Names()
    names.#takeGraph(model.graph)
    for (const { inputs, outputs, nodes } of model.functions) {
      for (const name of [...inputs, ...outputs]) names.#taken.add(name)
      for (const node of nodes) names.#takeNode(node)
    }
    return names
  }

  fresh(hint: string): string {
    let count = this.#next.get(hint) ?? 0
    let name = count === 0 ? hint : `${hint}_${count}`
    while (this.#taken.has(name)) name = `${hint}_${++count}`
    this.#next.set(hint, count + 1)
    this.#taken.add(name)
    return name
  }

  #takeGraph(graph: Graph): void {
    for (const { name } of [...graph.inputs, ...graph.outputs]) this.#taken.add(name)
    for (const name of graph.initializers.keys()) this.#taken.add(name)
    for (const node of graph.nodes) this.#takeNode(node)
  }

  #takeNode(node: Node): void {
    for (const name of [node.name, ...node.inputs, ...node.outputs]) this.#taken.add(name)
    for (const graph of subgraphsOf(node)) this.#takeGraph(graph)
  }
}

/**
 * Makes every value's and every node's name unique in the whole model, subgraphs included, so that a branch can be
 * lifted out of its `If` as it is. Values keep their names where they are the first to have them.
 *
 * @throws ZooError `invalid-model` if two values of one graph have the same name
 */
export function withUniqueNames(graph: Graph): Graph {
  const values = new Taken()
  const nodes = new Taken()
  const visit = (inner: Graph, outer: ReadonlyMap<string, string>): Graph => {
    const scope = new Map(outer)
    const own = new Set<string>()
    const define = (name: string): void => {
      if (name === '') return
      if (own.has(name)) throw new ZooError('invalid-model', `two values are named "${name}"`)
      own.add(name)
      scope.set(name, values.claim(name))
    }
    for (const { name } of inner.inputs) define(name)
    for (const name of inner.initializers.keys()) define(name)
    for (const node of inner.nodes) for (const name of node.outputs) define(name)
    const named = (name: string): string => scope.get(name) ?? name
    return {
      name: inner.name,
      inputs: inner.inputs.map((value) => ({ ...value, name: named(value.name) })),
      outputs: inner.outputs.map((value) => ({ ...value, name: named(value.name) })),
      initializers: new Map(Array.from(inner.initializers, ([name, tensor]) => [named(name), tensor])),
      valueInfo: new Map(
        Array.from(inner.valueInfo.values(), (value) => [
          named(value.name),
          { ...value, name: named(value.name) },
        ]),
      ),
      nodes: inner.nodes.map((node) => ({
        ...mapSubgraphs(node, (subgraph) => visit(subgraph, scope)),
        name: nodes.claim(node.name || node.outputs.find((name) => name !== '') || node.opType),
        inputs: node.inputs.map(named),
        outputs: node.outputs.map(named),
      })),
    }
  }
  return visit(graph, new Map())
}

/** Names that are in use; a second claim to one gets another. */
class Taken {
  readonly #names = new Set<string>()

  claim(name: string): string {
    let free = name
    for (let count = 1; this.#names.has(free); count++) free = `${name}_${count}`
    this.#names.add(free)
    return free
  }
}
