import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { attacked, type Method } from './method.ts'
import { trainOnMixture } from './pgd-at.ts'

/**
 * FGSM adversarial training (Goodfellow et al. 2015): min ½ CE(x) + ½ CE(x + eps · sign ∇CE(x)), clean and adversarial
 * images in one mini-batch unless the norm keeps them apart. Fast, and known to overfit to the one step.
 */
export const fgsmAt: Method<Extract<MethodSpec, { name: 'fgsm-at' }>> = ({ norm, eps }, context) => {
  const attack = { norm, eps, step: eps, steps: 1, start: 'image', imageStart: 0, targeted: false } as const
  const halves = { cleanRatio: 1, cleanWeight: 0.5, adversarialWeight: 0.5 }
  return async (batch) => {
    const figures = await trainOnMixture(context, batch, await attacked(context, batch, attack), halves)
    await context.update()
    return figures
  }
}
