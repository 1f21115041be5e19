import { Tensor } from '../../converters/onnx/tensor.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { ascend } from '../adversary.ts'
import { type Method, objectives, predictions, stepKey, targetsOf } from './method.ts'
import { trainOnMixture } from './pgd-at.ts'

/**
 * Instance-adaptive adversarial training (Balaji, Goldstein & Hoffman 2019): every image has an eps of its own. It grows
 * by gamma where the network still classifies the image under attack at eps + gamma, stays where it does so at eps, and
 * shrinks by gamma otherwise, smoothed by `smoothing`; all start at the attack's eps, which `warmUpEpochs` keep.
 */
export const iaat: Method<Extract<MethodSpec, { name: 'iaat' }>> = (spec, context) => {
  const { network, engine, memory } = context
  const { adversarial } = objectives(context)
  return async (batch) => {
    const { images, labels, examples } = batch
    const budgets =
      memory.get('eps')?.floats.slice() ?? new Float32Array(context.examples).fill(spec.attack.eps)
    const attackAt = (eps: Float32Array): Promise<Tensor> =>
      ascend({
        ...batch,
        engine,
        form: adversarial.inference,
        attack: spec.attack,
        target: targetsOf(labels, network.classes),
        eps,
        key: stepKey(context, batch),
      })
    const holds = async (image: Tensor): Promise<boolean[]> => {
      const { logits } = await engine.forward(adversarial.inference, { image }, ['logits'])
      return Array.from(predictions(logits!), (prediction, row) => prediction === labels[row])
    }
    const eps = Float32Array.from(examples, (example) => budgets[example]!)
    const attacked = await attackAt(eps)
    if (batch.step >= spec.warmUpEpochs * context.stepsPerEpoch) {
      const more = await holds(await attackAt(eps.map((budget) => budget + spec.gamma)))
      const still = await holds(attacked)
      for (const [row, example] of examples.entries()) {
        const change = more[row] ? spec.gamma : still[row] ? 0 : -spec.gamma
        const wanted = Math.max(0, eps[row]! + change)
        budgets[example] = spec.smoothing * eps[row]! + (1 - spec.smoothing) * wanted
      }
    }
    memory.set('eps', Tensor.float32([budgets.length], budgets))
    const figures = await trainOnMixture(context, { ...batch, images }, attacked, spec)
    await context.update()
    return { ...figures, meanEps: eps.reduce((sum, budget) => sum + budget, 0) / eps.length }
  }
}
