import { GraphBuilder } from '../converters/onnx/builder.ts'
import { emptyGraph, type Graph, type Node } from '../converters/onnx/graph.ts'
import type { TrainingForm } from './resnet/statistics.ts'

/** Where an instance of a graph ended up: its values by their old names, and its batch statistics. */
export interface Instance {
  readonly value: (name: string) => string
  readonly statistics: TrainingForm['statistics']
}

/**
 * Puts a copy of a form's graph into the graph being built. Its inputs become the given values and its inner values get
 * a prefix; weights keep their names, so that all instances share them.
 */
export function instantiate(
  builder: GraphBuilder,
  { graph, statistics }: TrainingForm,
  prefix: string,
  inputs: Readonly<Record<string, string>>,
): Instance {
  const names = new Map(Object.entries(inputs))
  for (const [name, tensor] of graph.initializers) {
    const shared = builder.graph.initializers.get(name) === tensor
    names.set(name, shared ? name : builder.initializer(tensor, name))
  }
  const value = (name: string): string => (name === '' ? '' : (names.get(name) ?? `${prefix}${name}`))
  const nodes = graph.nodes.map(
    (node): Node => ({
      ...node,
      name: `${prefix}${node.name}`,
      inputs: node.inputs.map(value),
      outputs: node.outputs.map(value),
    }),
  )
  builder.graph.nodes.push(...nodes)
  return { value, statistics: statistics.map(([running, batch]) => [running, value(batch)]) }
}

/** Builds a form out of instances of others; `build` adds the nodes and says which instances it made. */
export function composed(
  name: string,
  build: (builder: GraphBuilder, graph: Graph) => readonly Instance[],
): TrainingForm {
  const graph = emptyGraph(name)
  const instances = build(new GraphBuilder(graph), graph)
  const statistics = instances.flatMap((instance) => instance.statistics)
  for (const [, batch] of statistics) graph.outputs.push({ name: batch, dtype: 'float32', dims: null })
  return { graph, statistics }
}
