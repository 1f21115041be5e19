import type { Graph, Node } from './graph.ts'
import { readsOf } from './reads.ts'

/** The graph without what no output depends on: onnxruntime would compute it all the same. */
export function prune(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map((output) => output.name))
  const kept: Node[] = []
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue
    kept.push(node)
    for (const value of readsOf(node)) needed.add(value)
  }
  return {
    ...graph,
    nodes: kept.reverse(),
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name))),
    valueInfo: new Map([...graph.valueInfo].filter(([name]) => needed.has(name))),
  }
}
