import type { Graph, Node } from './graph.ts'

/** The graph with values called by other names everywhere, in subgraphs as well. */
export function renameValues(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const rename = (name: string): string => names.get(name) ?? name
  return {
    ...graph,
    inputs: graph.inputs.map((info) => ({ ...info, name: rename(info.name) })),
    outputs: graph.outputs.map((info) => ({ ...info, name: rename(info.name) })),
    nodes: graph.nodes.map((node) => renamedNode(node, names)),
    initializers: new Map([...graph.initializers].map(([name, tensor]) => [rename(name), tensor])),
    valueInfo: new Map(
      [...graph.valueInfo].map(([name, info]) => [rename(name), { ...info, name: rename(name) }]),
    ),
  }
}

export const renameValue = (graph: Graph, from: string, to: string): Graph =>
  from === to ? graph : renameValues(graph, new Map([[from, to]]))

/** Calls `value` by the name `name`; another value that has that name gets a new one. */
export function claimName(graph: Graph, value: string, name: string): Graph {
  if (value === name) return graph
  const taken = valueNames(graph)
  const names = new Map([[value, name]])
  if (taken.has(name)) names.set(name, freeName(name, taken))
  return renameValues(graph, names)
}

/** Renames the graph's values so that none has one of these names. */
export function reserveNames(graph: Graph, reserved: readonly string[]): Graph {
  const taken = valueNames(graph)
  const clashes = reserved.filter((name) => taken.has(name))
  if (clashes.length === 0) return graph
  return renameValues(graph, new Map(clashes.map((name) => [name, freeName(name, taken)])))
}

function freeName(name: string, taken: Set<string>): string {
  let count = 1
  while (taken.has(`${name}_${count}`)) count++
  taken.add(`${name}_${count}`)
  return `${name}_${count}`
}

const valueNames = (graph: Graph): Set<string> =>
  new Set([
    ...graph.inputs.map((input) => input.name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap((node) => node.outputs),
  ])

function renamedNode(node: Node, names: ReadonlyMap<string, string>): Node {
  const rename = (name: string): string => names.get(name) ?? name
  const attributes = new Map(node.attributes)
  for (const [key, attribute] of attributes) {
    if (attribute.type === 'graph')
      attributes.set(key, { type: 'graph', value: renameValues(attribute.value, names) })
    if (attribute.type === 'graphs')
      attributes.set(key, {
        type: 'graphs',
        value: attribute.value.map((graph) => renameValues(graph, names)),
      })
  }
  return { ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename), attributes }
}
