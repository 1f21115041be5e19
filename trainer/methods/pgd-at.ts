import type { Tensor } from '../../converters/onnx/tensor.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import {
  accuracyOf,
  attacked,
  type Figures,
  firstRows,
  joined,
  type Method,
  type MethodContext,
  meanOf,
  objectives,
  type TrainingBatch,
  targetsOf,
} from './method.ts'

export interface Mixture {
  /** Clean images trained on beside the adversarial ones, as a share of the batch. */
  readonly cleanRatio: number
  /** Weights of the two mean losses where clean and adversarial images are separate mini-batches. */
  readonly cleanWeight: number
  readonly adversarialWeight: number
}

/**
 * Adversarial training with PGD: min E[max CE(x + d)] over the ball (Madry et al. 2018), optionally on clean images
 * beside the adversarial ones, at any ratio (Xie & Yuille 2020, Fig. 1).
 *
 * With mixture batch norm (Xie & Yuille 2020, section 4.2) clean and adversarial images are separate mini-batches through
 * their own branches, and the loss is cleanWeight · mean CE(x) + adversarialWeight · mean CE(x + d). With any other norm
 * they are one mini-batch, and the loss is the mean over all of it.
 */
export const pgdAt: Method<Extract<MethodSpec, { name: 'pgd-at' }>> = (spec, context) => async (batch) => {
  const images = await attacked(context, batch, spec.attack)
  const figures = await trainOnMixture(context, batch, images, spec)
  await context.update()
  return figures
}

/** Accumulates the gradient of adversarial images and as many clean ones as the mixture has. */
export async function trainOnMixture(
  context: MethodContext,
  { images, labels }: TrainingBatch,
  adversarialImages: Tensor,
  { cleanRatio, cleanWeight, adversarialWeight }: Mixture,
): Promise<Figures> {
  const { network, engine } = context
  const { clean, adversarial } = objectives(context)
  const rows = Math.round(cleanRatio * labels.length)
  const target = targetsOf(labels, network.classes, context.labelSmoothing)
  const form = context.trained(adversarial)

  if (rows === 0 || clean === adversarial) {
    const feeds = {
      image: joined(adversarialImages, firstRows(images, rows)),
      target: joined(target, firstRows(target, rows)),
    }
    const { outputs } = await engine.accumulate(form, feeds, { of: 'loss', weight: 1 })
    const logits = firstRows(outputs.logits!, labels.length)
    return { loss: meanOf(outputs.loss!), accuracy: accuracyOf(logits, labels) }
  }
  const hard = await engine.accumulate(
    form,
    { image: adversarialImages, target },
    { of: 'loss', weight: adversarialWeight },
  )
  const easy = await engine.accumulate(
    context.trained(clean),
    { image: firstRows(images, rows), target: firstRows(target, rows) },
    { of: 'loss', weight: cleanWeight },
  )
  return {
    loss: meanOf(hard.outputs.loss!),
    accuracy: accuracyOf(hard.outputs.logits!, labels),
    cleanLoss: meanOf(easy.outputs.loss!),
  }
}
