import { GraphBuilder } from '../converters/onnx/builder.ts'
import type { Graph } from '../converters/onnx/graph.ts'

/** A copy that can be built on: nodes, inputs and outputs are its own; tensors are shared. */
export const extended = (graph: Graph): Graph => ({
  ...graph,
  inputs: [...graph.inputs],
  outputs: [...graph.outputs],
  nodes: [...graph.nodes],
  initializers: new Map(graph.initializers),
})

/**
 * Adds to a graph with `logits` the input `target` [N, classes], a distribution over classes for each example
 * (one-hot, smoothed or otherwise soft), and the output `loss` [N]: the cross-entropy.
 */
export function crossEntropy(network: Graph): Graph {
  const graph = extended(network)
  const builder = new GraphBuilder(graph)
  const dims = graph.outputs.find(({ name }) => name === 'logits')!.dims
  graph.inputs.push({ name: 'target', dtype: 'float32', dims })
  const logP = builder.op('LogSoftmax', ['logits'], { axis: -1 })
  const terms = builder.op('Mul', ['target', logP])
  const sum = builder.op('ReduceSum', [terms, builder.int64s([1])], { keepdims: 0 })
  builder.ops('Neg', [sum], {}, { outputs: ['loss'] })
  graph.outputs.push({ name: 'loss', dtype: 'float32', dims: dims ? [dims[0]!] : null })
  return graph
}
