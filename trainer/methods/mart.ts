import type { GraphBuilder } from '../../converters/onnx/builder.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { crossEntropyOf, divergence, pairObjective, sumOverClasses } from '../losses.ts'
import { accuracyOf, attacked, type Method, meanOf, targetsOf } from './method.ts'

/** Above 1, so that the margin's logarithm is finite. */
const MARGIN = 1.0001

/**
 * MART (Wang et al. 2020): min BCE(x') + beta · KL(p(x)‖p(x')) · (1 - p_y(x)), where
 * BCE(x') = CE(x') - log(1.0001 - max over wrong k of p_k(x')): misclassified images weigh more. The labels are one-hot.
 */
export const mart: Method<Extract<MethodSpec, { name: 'mart' }>> = (spec, context) => {
  const { network, engine } = context
  const objective = pairObjective(network, (b, clean, adversarial, target) => {
    const boosted = b.op('Sub', [crossEntropyOf(b, adversarial, target), logMargin(b, adversarial, target)])
    const trueClass = sumOverClasses(b, b.op('Mul', [b.op('Softmax', [clean], { axis: -1 }), target]))
    const missed = b.op('Sub', [b.scalar(1), trueClass])
    const apart = b.op('Mul', [divergence(b, clean, adversarial), missed])
    return b.op('Add', [boosted, b.op('Mul', [apart, b.scalar(spec.beta)])])
  })
  return async (batch) => {
    const { images, labels } = batch
    const adversarial = await attacked(context, batch, spec.attack)
    const feeds = { image: images, adversarial, target: targetsOf(labels, network.classes) }
    const { outputs } = await engine.accumulate(context.trained(objective), feeds, { of: 'loss', weight: 1 })
    await context.update()
    return { loss: meanOf(outputs.loss!), accuracy: accuracyOf(outputs.adversarialLogits!, labels) }
  }
}

/** log(1.0001 - max over wrong classes of p), [N]; probabilities are not negative, so the true class may count as 0. */
function logMargin(b: GraphBuilder, logits: string, target: string): string {
  const wrong = b.op('Mul', [b.op('Softmax', [logits], { axis: -1 }), b.op('Sub', [b.scalar(1), target])])
  const most = b.op('ReduceMax', [wrong, b.int64s([1])], { keepdims: 0 })
  return b.op('Log', [b.op('Sub', [b.scalar(MARGIN), most])])
}
