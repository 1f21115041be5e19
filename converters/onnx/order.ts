import { ZooError } from '../../manifests/error.ts'
import { describe, type Graph, type Node } from './graph.ts'
import { readsOf } from './reads.ts'
import { mapSubgraphs } from './subgraphs.ts'

/**
 * The graph, subgraphs included, with each node after those whose results it reads. Nodes that stand in order already
 * keep their places.
 *
 * @throws ZooError `invalid-model` where a value is read that nothing gives, or nodes wait for one another in a circle
 */
export function inOrder(graph: Graph, outer: ReadonlySet<string> = new Set()): Graph {
  const known = new Set([...outer, ...graph.inputs.map(({ name }) => name), ...graph.initializers.keys()])
  const producers = new Map(
    graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)),
  )
  const reads = new Map(graph.nodes.map((node) => [node, readsOf(node)]))
  for (const [node, names] of reads)
    for (const name of names)
      if (!known.has(name) && !producers.has(name))
        throw new ZooError('invalid-model', `${describe(node)} reads "${name}", which nothing gives`)
  for (const { name } of graph.outputs)
    if (!known.has(name) && !producers.has(name))
      throw new ZooError('invalid-model', `nothing gives the output "${name}"`)

  const ordered: Node[] = []
  const placed = new Set<Node>()
  const open = new Set<Node>()
  // A stack of its own: chains of thousands of nodes would overflow that of the language.
  for (const root of graph.nodes) {
    const stack = [root]
    while (stack.length > 0) {
      const node = stack.at(-1)!
      const missing = placed.has(node)
        ? []
        : reads.get(node)!.flatMap((name) => {
            const producer = known.has(name) ? undefined : producers.get(name)
            return producer && !placed.has(producer) ? [producer] : []
          })
      if (missing.length > 0) {
        open.add(node)
        const circle = missing.find((producer) => open.has(producer))
        if (circle) throw new ZooError('invalid-model', `${describe(circle)} waits for its own result`)
        stack.push(...missing)
        continue
      }
      stack.pop()
      open.delete(node)
      if (placed.has(node)) continue
      placed.add(node)
      ordered.push(node)
    }
  }
  const values = new Set([...known, ...producers.keys()])
  return { ...graph, nodes: ordered.map((node) => mapSubgraphs(node, (inner) => inOrder(inner, values))) }
}
