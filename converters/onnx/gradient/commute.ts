import type { Graph, Node } from '../graph.ts'

/**
 * Puts each max pool in front of the Relu that it follows: max(relu(x)) = relu(max(x)), and the gradients agree as well,
 * ties at zero included. The Relu and its gradient then have a fraction of the elements.
 */
export function poolBeforeRelu(graph: Graph): Graph {
  const reads = new Map<string, number>()
  const names = [...graph.nodes.flatMap((node) => node.inputs), ...graph.outputs.map((output) => output.name)]
  for (const name of names) reads.set(name, (reads.get(name) ?? 0) + 1)
  const relus = new Map<string, Node>()
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const relu = node.opType === 'MaxPool' && node.domain === '' ? relus.get(node.inputs[0]!) : undefined
    if (relu && node.outputs.length === 1 && reads.get(relu.outputs[0]!) === 1) {
      nodes.splice(nodes.indexOf(relu), 1)
      const between = relu.outputs[0]!
      nodes.push({ ...node, inputs: [relu.inputs[0]!], outputs: [between] })
      nodes.push({ ...relu, inputs: [between], outputs: node.outputs })
      continue
    }
    if (node.opType === 'Relu' && node.domain === '') relus.set(node.outputs[0]!, node)
    nodes.push(node)
  }
  return { ...graph, nodes, valueInfo: new Map() }
}
