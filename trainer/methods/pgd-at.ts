import { keyOf } from '../../converters/perturb/random.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { adversarialImages } from '../adversary.ts'
import { crossEntropy } from '../losses.ts'
import { objectiveOf } from '../network.ts'
import { accuracyOf, firstRows, joined, type Method, meanOf, stepKey, targetsOf } from './method.ts'

const ATTACK = keyOf('attack')

/**
 * Adversarial training with PGD: min E[max CE(x + d)] over the ball (Madry et al. 2018), optionally on clean images
 * beside the adversarial ones.
 *
 * With mixture batch norm (Xie & Yuille 2020, section 4.2) clean and adversarial images are separate mini-batches through
 * their own branches, and the loss is cleanWeight · mean CE(x) + adversarialWeight · mean CE(x + d). With any other norm
 * they are one mini-batch, and the loss is the mean over all of it. With one step from a random start this is Fast AT.
 */
export const pgdAt: Method<Extract<MethodSpec, { name: 'pgd-at' }>> = (spec, context) => {
  const { network, engine } = context
  const mixture = network.branches.includes('adv')
  const adversarial = objectiveOf(network, mixture ? 'adv' : 'main', crossEntropy)
  const clean = mixture ? objectiveOf(network, 'clean', crossEntropy) : adversarial

  return async (batch) => {
    const { images, labels, examples } = batch
    const attacked = await adversarialImages({
      engine,
      form: adversarial.inference,
      attack: spec.attack,
      images,
      labels,
      examples,
      classes: network.classes,
      key: stepKey(context, ATTACK, batch),
    })
    const cleanRows = Math.round(spec.cleanRatio * labels.length)
    const target = targetsOf(labels, network.classes, context.labelSmoothing)
    const cleanImages = firstRows(images, cleanRows)
    const cleanTarget = firstRows(target, cleanRows)

    if (cleanRows === 0 || !mixture) {
      const feeds = { image: joined(attacked, cleanImages), target: joined(target, cleanTarget) }
      const { outputs } = await engine.accumulate(context.trained(adversarial), feeds, {
        of: 'loss',
        weight: 1,
      })
      await context.update()
      const logits = firstRows(outputs.logits!, labels.length)
      return { loss: meanOf(outputs.loss!), accuracy: accuracyOf(logits, labels) }
    }
    const hard = await engine.accumulate(
      context.trained(adversarial),
      { image: attacked, target },
      { of: 'loss', weight: spec.adversarialWeight },
    )
    const easy = await engine.accumulate(
      context.trained(clean),
      { image: cleanImages, target: cleanTarget },
      { of: 'loss', weight: spec.cleanWeight },
    )
    await context.update()
    return {
      loss: meanOf(hard.outputs.loss!),
      accuracy: accuracyOf(hard.outputs.logits!, labels),
      cleanLoss: meanOf(easy.outputs.loss!),
    }
  }
}
