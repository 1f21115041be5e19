import { GraphBuilder } from '../../converters/onnx/builder.ts'
import type { Graph } from '../../converters/onnx/graph.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { crossEntropy, crossEntropyOf, pairObjective, sumOverClasses } from '../losses.ts'
import { objectiveOf } from '../network.ts'
import { accuracyOf, attacked, firstRows, joined, type Method, meanOf, targetsOf } from './method.ts'

type Spec = Extract<MethodSpec, { name: 'alp' }>

/**
 * Adversarial logit pairing (Kannan et al. 2018): min mean CE over x and x + d, in one mini-batch, plus
 * weight · mean (z(x) - z(x + d))² over logits. With mixture batch norm each is a mini-batch through a branch of its own
 * (Xie & Yuille 2020, section 4.2). Later shown to be no stronger than its inner attack (Engstrom et al. 2018;
 * Mosbach et al. 2018).
 */
export const alp: Method<Spec> = (spec, context) =>
  context.network.branches.length > 1 ? throughTwoBranches(spec, context) : inOneBatch(spec, context)

const inOneBatch: Method<Spec> = (spec, context) => {
  const { network, engine } = context
  const objective = objectiveOf(network, network.branches[0]!, (graph) => paired(graph, spec.weight))
  return async (batch) => {
    const { images, labels } = batch
    const target = targetsOf(labels, network.classes, context.labelSmoothing)
    const adversarial = await attacked(context, batch, spec.attack)
    const feeds = { image: joined(adversarial, images), target: joined(target, target) }
    const form = context.trained(objective)
    const { outputs } = await engine.accumulate(form, feeds, { of: 'paired', weight: 1 })
    await context.update()
    const logits = firstRows(outputs.logits!, labels.length)
    return { loss: meanOf(outputs.paired!), accuracy: accuracyOf(logits, labels) }
  }
}

/** Adds the output `paired` [N] for a batch of N adversarial images followed by their N clean ones. */
function paired(network: Graph, weight: number): Graph {
  const graph = crossEntropy(network)
  const b = new GraphBuilder(graph)
  const classes = graph.outputs.find(({ name }) => name === 'logits')!.dims![1] as number
  const halves = b.op('Reshape', ['loss', b.int64s([2, -1])])
  const mean = b.op('ReduceMean', [halves, b.int64s([0])], { keepdims: 0 })
  const logits = b.op('Reshape', ['logits', b.int64s([2, -1, classes])])
  const signed = b.op('Mul', [logits, b.constant('float32', [2, 1, 1], [1, -1])])
  const gap = b.op('ReduceSum', [signed, b.int64s([0])], { keepdims: 0 })
  b.ops('Add', [mean, pairing(b, gap, weight / classes)], {}, { outputs: ['paired'] })
  graph.outputs.push({ name: 'paired', dtype: 'float32', dims: ['pairs'] })
  return graph
}

const throughTwoBranches: Method<Spec> = (spec, context) => {
  const { network, engine } = context
  const objective = pairObjective(network, (b, clean, adversarial, target) => {
    const sum = b.op('Add', [crossEntropyOf(b, clean, target), crossEntropyOf(b, adversarial, target)])
    const gap = b.op('Sub', [adversarial, clean])
    return b.op('Add', [b.op('Mul', [sum, b.scalar(0.5)]), pairing(b, gap, spec.weight / network.classes)])
  })
  return async (batch) => {
    const { images, labels } = batch
    const target = targetsOf(labels, network.classes, context.labelSmoothing)
    const feeds = { image: images, adversarial: await attacked(context, batch, spec.attack), target }
    const { outputs } = await engine.accumulate(context.trained(objective), feeds, { of: 'loss', weight: 1 })
    await context.update()
    return { loss: meanOf(outputs.loss!), accuracy: accuracyOf(outputs.adversarialLogits!, labels) }
  }
}

/** `weight` times the square of a difference of logits [N, classes], summed over classes. */
const pairing = (b: GraphBuilder, gap: string, weight: number): string =>
  b.op('Mul', [sumOverClasses(b, b.op('Mul', [gap, gap])), b.scalar(weight)])
