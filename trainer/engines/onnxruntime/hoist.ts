import type { Graph, Node, ValueInfo } from '../../../converters/onnx/graph.ts'
import { prune } from '../../../converters/onnx/prune.ts'
import { readsOf } from '../../../converters/onnx/reads.ts'

export interface Hoisted {
  /** From weights to what is computed from them alone: folded and turned kernels. */
  readonly derivation: Graph
  /** From feeds, weights and derived values to the outputs. */
  readonly rest: Graph
}

/**
 * Takes out of a graph what depends on weights alone, to be computed once for each change of the weights rather than
 * at each run. Weights are inputs of the graph.
 */
export function hoist(graph: Graph, isWeight: (name: string) => boolean): Hoisted {
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  const derived = new Set<string>()
  const isStill = (name: string): boolean =>
    isWeight(name) || derived.has(name) || graph.initializers.has(name)
  const before: Node[] = []
  const after: Node[] = []
  for (const node of graph.nodes) {
    const reads = readsOf(node)
    const hoistable =
      reads.every(isStill) &&
      reads.some((name) => isWeight(name) || derived.has(name)) &&
      !node.outputs.some((name) => outputs.has(name))
    ;(hoistable ? before : after).push(node)
    if (hoistable) for (const name of node.outputs) derived.add(name)
  }
  const needed = [...new Set(after.flatMap(readsOf))].filter((name) => derived.has(name))
  const values = needed.map((name): ValueInfo => ({ name, dtype: 'float32', dims: null }))
  return {
    derivation: withoutIdleInputs(prune({ ...graph, nodes: before, outputs: values })),
    rest: withoutIdleInputs(prune({ ...graph, nodes: after, inputs: [...graph.inputs, ...values] })),
  }
}

/** The graph without inputs that nothing reads: they need not be fed. */
export function withoutIdleInputs(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap(readsOf))
  return { ...graph, inputs: graph.inputs.filter(({ name }) => read.has(name)) }
}
