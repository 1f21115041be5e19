import type { Attribute, Graph, Node } from './graph.ts'

/** The node with each of its attributes mapped, or dropped where `map` gives undefined. */
export function mapAttributes(
  node: Node,
  map: (attribute: Attribute, name: string) => Attribute | undefined,
): Node {
  if (node.attributes.size === 0) return node
  const attributes = new Map<string, Attribute>()
  for (const [name, attribute] of node.attributes) {
    const mapped = map(attribute, name)
    if (mapped) attributes.set(name, mapped)
  }
  return { ...node, attributes }
}

/** The node with its subgraphs, if it has any, mapped. */
export const mapSubgraphs = (node: Node, map: (graph: Graph) => Graph): Node =>
  subgraphsOf(node).length === 0
    ? node
    : mapAttributes(node, (attribute) => {
        if (attribute.type === 'graph') return { type: 'graph', value: map(attribute.value) }
        if (attribute.type === 'graphs') return { type: 'graphs', value: attribute.value.map(map) }
        return attribute
      })

/** The bodies of an If, Loop or Scan. */
export function subgraphsOf(node: Node): Graph[] {
  const graphs: Graph[] = []
  for (const attribute of node.attributes.values()) {
    if (attribute.type === 'graph') graphs.push(attribute.value)
    else if (attribute.type === 'graphs') graphs.push(...attribute.value)
  }
  return graphs
}
