import type { Graph, ValueInfo } from '../../converters/onnx/graph.ts'

/** The graph for batches of this size alone; some compilers and accelerators want every size fixed. */
export function withBatch(graph: Graph, batch: number): Graph {
  const fixed = (value: ValueInfo): ValueInfo => ({
    ...value,
    dims: value.dims && [batch, ...value.dims.slice(1)],
  })
  return { ...graph, inputs: graph.inputs.map(fixed), outputs: graph.outputs.map(fixed) }
}
