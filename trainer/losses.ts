import { GraphBuilder } from '../converters/onnx/builder.ts'
import type { Graph } from '../converters/onnx/graph.ts'
import { composed, instantiate } from './compose.ts'
import type { Network, Objective } from './network.ts'
import { batchStatistics, runningStatistics, type TrainingForm } from './resnet/statistics.ts'

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
  builder.ops(
    'Neg',
    [sumOverClasses(builder, builder.op('Mul', ['target', logP]))],
    {},
    { outputs: ['loss'] },
  )
  graph.outputs.push({ name: 'loss', dtype: 'float32', dims: dims ? [dims[0]!] : null })
  return graph
}

/** [N, classes] to [N]. */
export const sumOverClasses = (builder: GraphBuilder, value: string): string =>
  builder.op('ReduceSum', [value, builder.int64s([1])], { keepdims: 0 })

/** -Σ target · log softmax(logits), [N]. */
export function crossEntropyOf(builder: GraphBuilder, logits: string, target: string): string {
  const logP = builder.op('LogSoftmax', [logits], { axis: -1 })
  return builder.op('Neg', [sumOverClasses(builder, builder.op('Mul', [target, logP]))])
}

/** KL(p‖q) = Σ p (log p - log q) of the distributions with these logits, [N]; differentiated through both. */
export function divergence(builder: GraphBuilder, p: string, q: string): string {
  const [logP, logQ] = [p, q].map((logits) => builder.op('LogSoftmax', [logits], { axis: -1 })) as [
    string,
    string,
  ]
  const gap = builder.op('Sub', [logP, logQ])
  return sumOverClasses(builder, builder.op('Mul', [builder.op('Exp', [logP]), gap]))
}

/** The logits of an image and of its adversarial counterpart, and the target, to one loss [N]. */
export type PairLoss = (builder: GraphBuilder, clean: string, adversarial: string, target: string) => string

/**
 * A loss on two passes through the network with the same weights: `image` through its first branch and `adversarial`
 * through its last, each normalised by a batch of its own. Inputs: these and `target`; outputs: `logits`,
 * `adversarialLogits`, `loss` [N].
 */
export function pairObjective(network: Network, loss: PairLoss): Objective {
  const [first, last] = [network.branches[0]!, network.branches.at(-1)!]
  const form = (formOf: (graph: Graph) => TrainingForm): TrainingForm =>
    pair(network, formOf(network.graph(first)), formOf(network.graph(last)), loss)
  return { inference: form(runningStatistics), training: form(batchStatistics) }
}

function pair(
  network: Network,
  clean: TrainingForm,
  adversarial: TrainingForm,
  loss: PairLoss,
): TrainingForm {
  return composed('pair', (builder, graph) => {
    const image = { dtype: 'float32' as const, dims: ['N', ...network.shape] }
    const scores = { dtype: 'float32' as const, dims: ['N', network.classes] }
    graph.inputs.push(
      { name: 'image', ...image },
      { name: 'adversarial', ...image },
      { name: 'target', ...scores },
    )
    const one = instantiate(builder, clean, 'clean:', { image: 'image' })
    const two = instantiate(builder, adversarial, 'adversarial:', { image: 'adversarial' })
    const logits = [one.value('logits'), two.value('logits')] as const
    const value = loss(builder, ...logits, 'target')
    const named = [logits[0], logits[1], value].map((result, i) =>
      builder.op('Identity', [result], {}, { outputs: [['logits', 'adversarialLogits', 'loss'][i]!] }),
    )
    graph.outputs.push(
      { name: named[0]!, ...scores },
      { name: named[1]!, ...scores },
      { name: named[2]!, dtype: 'float32', dims: ['N'] },
    )
    return [one, two]
  })
}
