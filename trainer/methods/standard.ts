import { crossEntropy } from '../losses.ts'
import { objectiveOf } from '../network.ts'
import { accuracyOf, type Method, meanOf, targetsOf } from './method.ts'

/** Training on clean images: min E[CE(x)]. The comparison that shows what adversarial training buys. */
export const standard: Method<object> = (_, context) => {
  const { network, engine } = context
  const objective = objectiveOf(network, network.branches[0]!, crossEntropy)
  return async ({ images, labels }) => {
    const target = targetsOf(labels, network.classes, context.labelSmoothing)
    const { outputs } = await engine.accumulate(
      context.trained(objective),
      { image: images, target },
      { of: 'loss', weight: 1 },
    )
    await context.update()
    return { loss: meanOf(outputs.loss!), accuracy: accuracyOf(outputs.logits!, labels) }
  }
}
