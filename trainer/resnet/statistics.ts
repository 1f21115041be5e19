import { float, makeNode } from '../../converters/onnx/builder.ts'
import { Attributes, type Graph, type Node } from '../../converters/onnx/graph.ts'

/** A graph to train on, and where its batch statistics go. */
export interface TrainingForm {
  readonly graph: Graph
  /** Running statistics, each with an output that holds the batch's mean or (biased) variance that moves it. */
  readonly statistics: readonly (readonly [running: string, batch: string])[]
}

/** The inference form as it stands: running statistics are constants. Training on it is train-consistent batch norm. */
export const runningStatistics = (graph: Graph): TrainingForm => ({ graph, statistics: [] })

/**
 * Rewrites every batch normalisation to normalise by the batch and to output the batch's mean and biased variance;
 * the given graph stays as it is. With momentum 0 the operator's "running" outputs are the batch's own.
 * Its inputs for mean and variance stay the running ones: they must be distinct initialisers
 * (onnxruntime returns a wrong mean when they are the same).
 */
export function batchStatistics(graph: Graph): TrainingForm {
  const statistics: [string, string][] = []
  const nodes = graph.nodes.map((node) => {
    if (node.opType !== 'BatchNormalization' || node.domain !== '') return node
    const [, , , mean, variance] = node.inputs as [string, string, string, string, string]
    const outputs = [mean, variance].map((name) => {
      const output = `${name}:batch`
      statistics.push([name, output])
      return output
    })
    return byBatch(node, outputs)
  })
  const outputs = statistics.map(([running, name]) => ({
    name,
    dtype: 'float32' as const,
    dims: graph.initializers.get(running)?.dims ?? null,
  }))
  return { graph: { ...graph, nodes, outputs: [...graph.outputs, ...outputs] }, statistics }
}

function byBatch(node: Node, statistics: readonly string[]): Node {
  const epsilon = float(new Attributes(node).float('epsilon', 1e-5))
  return makeNode(
    'BatchNormalization',
    node.inputs,
    [node.outputs[0]!, ...statistics],
    { epsilon, momentum: float(0), training_mode: 1 },
    node.name,
  )
}
