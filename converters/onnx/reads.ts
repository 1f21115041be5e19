import type { Graph, Node } from './graph.ts'

/** Every value that a node reads, those that its subgraphs capture included. */
export function readsOf(node: Node): string[] {
  const reads = node.inputs.filter((input) => input !== '')
  for (const attribute of node.attributes.values()) {
    const graphs =
      attribute.type === 'graph' ? [attribute.value] : attribute.type === 'graphs' ? attribute.value : []
    for (const graph of graphs) reads.push(...captures(graph))
  }
  return reads
}

function captures(graph: Graph): string[] {
  const own = new Set([
    ...graph.inputs.map((input) => input.name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap((node) => node.outputs),
  ])
  const read = [...graph.nodes.flatMap(readsOf), ...graph.outputs.map((output) => output.name)]
  return read.filter((name) => !own.has(name))
}
