import { ZooError } from '../../manifests/error.ts'
import { type Attribute, describe, type FunctionDefinition, type Graph, type Node } from './graph.ts'
import type { Names } from './names.ts'
import { mapAttributes, mapSubgraphs, subgraphsOf } from './subgraphs.ts'

/** A few functions that call one another twice can stand for any number of nodes. */
const LARGEST = 500_000

/**
 * Replaces each call of a model-local function by the function's body, inner values and nodes renamed after the call.
 *
 * @throws ZooError `invalid-model` for functions that call themselves or have no end
 */
export function inlineFunctions(graph: Graph, functions: readonly FunctionDefinition[], names: Names): Graph {
  if (functions.length === 0) return graph
  const inliner = new Inliner(functions, names)
  if (inliner.size(graph.nodes) > LARGEST)
    throw new ZooError('invalid-model', `the model's functions stand for more than ${LARGEST} nodes`)
  return inliner.graph(graph)
}

class Inliner {
  readonly #functions: ReadonlyMap<string, FunctionDefinition>
  readonly #names: Names
  readonly #sizes = new Map<FunctionDefinition, number>()

  constructor(functions: readonly FunctionDefinition[], names: Names) {
    this.#functions = new Map(functions.map((f) => [key(f.domain, f.name, f.overload), f]))
    this.#names = names
  }

  /** How many nodes these come to, without making them. */
  size(nodes: readonly Node[]): number {
    let size = 0
    for (const node of nodes) {
      const called = this.#called(node)
      size += called ? this.#sizeOf(called) : 1
      for (const graph of subgraphsOf(node)) size += this.size(graph.nodes)
    }
    return size
  }

  #sizeOf(called: FunctionDefinition): number {
    const known = this.#sizes.get(called)
    if (Number.isNaN(known)) throw new ZooError('invalid-model', `function "${called.name}" calls itself`)
    if (known !== undefined) return known
    this.#sizes.set(called, Number.NaN)
    const size = this.size(called.nodes)
    this.#sizes.set(called, size)
    return size
  }

  graph(graph: Graph): Graph {
    return { ...graph, nodes: graph.nodes.flatMap((node) => this.#nodes(node)) }
  }

  #nodes(node: Node): Node[] {
    const called = this.#called(node)
    if (called) return this.#body(node, called).flatMap((inner) => this.#nodes(inner))
    return [mapSubgraphs(node, (graph) => this.graph(graph))]
  }

  #called(node: Node): FunctionDefinition | undefined {
    return this.#functions.get(key(node.domain, node.opType, node.overload ?? ''))
  }

  #body(call: Node, called: FunctionDefinition): Node[] {
    if (call.inputs.length > called.inputs.length || call.outputs.length > called.outputs.length)
      throw new ZooError('invalid-model', `${describe(call)} has more inputs or outputs than its function`)
    const values = new Map<string, string>([['', '']])
    for (const [i, name] of called.inputs.entries()) values.set(name, call.inputs[i] ?? '')
    const scope = call.name || call.outputs[0] || call.opType
    const passed: [given: string, output: string][] = []
    for (const [i, name] of called.outputs.entries()) {
      const output = call.outputs[i]
      const given = values.get(name)
      if (given !== undefined && output) passed.push([given, output])
      else if (given === undefined && output) values.set(name, output)
    }
    const rename = (name: string): string => {
      const known = values.get(name)
      if (known !== undefined) return known
      const fresh = this.#names.fresh(`${scope}/${name}`)
      values.set(name, fresh)
      return fresh
    }
    const attribute = (value: Attribute): Attribute | undefined =>
      value.type === 'reference'
        ? (call.attributes.get(value.value) ?? called.defaults.get(value.value))
        : value
    const body = called.nodes.map((node) => {
      const bound = rebound(node, rename, attribute)
      return { ...bound, name: `${scope}/${node.name || node.outputs[0] || node.opType}` }
    })
    // A function may hand an input through as it is.
    const identities = passed.map(([given, output]) => identity(given, output))
    return [...body, ...identities]
  }
}

/** A node of a function's body with its values renamed and its references to the call's attributes filled in. */
function rebound(
  node: Node,
  rename: (name: string) => string,
  attribute: (value: Attribute) => Attribute | undefined,
): Node {
  const bound = mapSubgraphs(mapAttributes(node, attribute), (graph) => ({
    name: graph.name,
    inputs: graph.inputs.map((value) => ({ ...value, name: rename(value.name) })),
    outputs: graph.outputs.map((value) => ({ ...value, name: rename(value.name) })),
    initializers: new Map(Array.from(graph.initializers, ([name, tensor]) => [rename(name), tensor])),
    valueInfo: new Map(),
    nodes: graph.nodes.map((inner) => rebound(inner, rename, attribute)),
  }))
  return { ...bound, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) }
}

const identity = (input: string, output: string): Node => ({
  name: output,
  opType: 'Identity',
  domain: '',
  inputs: [input],
  outputs: [output],
  attributes: new Map(),
})

const key = (domain: string, name: string, overload: string): string =>
  JSON.stringify([domain, name, overload])
