import { accuracyOf, type Method, meanOf, objectives, targetsOf } from './method.ts'

/** Training on clean images: min E[CE(x)]. The comparison that shows what adversarial training buys. */
export const standard: Method<object> = (_, context) => {
  const { network, engine } = context
  const { clean } = objectives(context)
  return async ({ images, labels }) => {
    const target = targetsOf(labels, network.classes, context.labelSmoothing)
    const form = context.trained(clean)
    const { outputs } = await engine.accumulate(form, { image: images, target }, { of: 'loss', weight: 1 })
    await context.update()
    return { loss: meanOf(outputs.loss!), accuracy: accuracyOf(outputs.logits!, labels) }
  }
}
