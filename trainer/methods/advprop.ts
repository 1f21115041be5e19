import { ZooError } from '../../manifests/error.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { attacked, type Method } from './method.ts'
import { trainOnMixture } from './pgd-at.ts'

/**
 * AdvProp (Xie et al. 2020): min CE(x) + CE(x + d), the sum, each through batch norms of its own; deployed is the clean
 * branch, whose clean accuracy is what it is for. Export with `--branch clean`.
 */
export const advprop: Method<Extract<MethodSpec, { name: 'advprop' }>> = ({ attack }, context) => {
  if (!context.network.branches.includes('clean'))
    throw new ZooError('invalid-manifest', 'AdvProp needs a network with mixture batch norm')
  const both = { cleanRatio: 1, cleanWeight: 1, adversarialWeight: 1 }
  return async (batch) => {
    const figures = await trainOnMixture(context, batch, await attacked(context, batch, attack), both)
    await context.update()
    return figures
  }
}
