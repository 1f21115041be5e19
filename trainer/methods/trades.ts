import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { ascend } from '../adversary.ts'
import { crossEntropyOf, divergence, pairObjective } from '../losses.ts'
import {
  accuracyOf,
  type Method,
  meanOf,
  objectives,
  probabilities,
  rampedAttack,
  stepKey,
  targetsOf,
} from './method.ts'

/**
 * TRADES (Zhang et al. 2019): min CE(x) + beta · KL(p(x)‖p(x')), where x' maximises that divergence from a start near x.
 * The attack holds p(x) fixed, so it ascends the cross-entropy of p(x), whose gradient is the divergence's.
 */
export const trades: Method<Extract<MethodSpec, { name: 'trades' }>> = (spec, context) => {
  const { network, engine } = context
  const { clean, adversarial } = objectives(context)
  const objective = pairObjective(network, (b, z, attacked, target) => {
    const apart = b.op('Mul', [divergence(b, z, attacked), b.scalar(spec.beta)])
    return b.op('Add', [crossEntropyOf(b, z, target), apart])
  })
  return async (batch) => {
    const { images, labels } = batch
    const { logits } = await engine.forward(clean.inference, { image: images }, ['logits'])
    const attacked = await ascend({
      ...batch,
      engine,
      form: adversarial.inference,
      attack: rampedAttack(context, batch, spec.attack),
      target: probabilities(logits!),
      key: stepKey(context, batch),
    })
    const target = targetsOf(labels, network.classes, context.labelSmoothing)
    const feeds = { image: images, adversarial: attacked, target }
    const { outputs } = await engine.accumulate(context.trained(objective), feeds, { of: 'loss', weight: 1 })
    await context.update()
    return { loss: meanOf(outputs.loss!), accuracy: accuracyOf(outputs.adversarialLogits!, labels) }
  }
}
