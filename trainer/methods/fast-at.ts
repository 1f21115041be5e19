import { Tensor } from '../../converters/onnx/tensor.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import {
  accuracyOf,
  attacked,
  type Method,
  type MethodContext,
  objectives,
  type TrainingBatch,
} from './method.ts'
import { trainOnMixture } from './pgd-at.ts'

/** The guard's attack: five steps of a quarter of eps. */
const GUARD = { steps: 5, stepShare: 0.25 }

/**
 * Fast adversarial training (Wong, Rice & Kolter 2020): one step of 1.25 eps from a uniform start, with its guard against
 * catastrophic overfitting: once an epoch the accuracy under PGD-5 on the batch at hand is measured, and when it has
 * fallen by more than `guard`, training ends with the weights of the last measurement. Norms may be mixtures.
 */
export const fastAt: Method<Extract<MethodSpec, { name: 'fast-at' }>> = (spec, context) => {
  const { norm, eps, guard } = spec
  const step = spec.step ?? 1.25 * eps
  const attack = { norm, eps, step, steps: 1, start: 'random', imageStart: 0, targeted: false } as const
  const probe = { ...attack, steps: GUARD.steps, step: GUARD.stepShare * eps }
  return async (batch) => {
    const figures = await trainOnMixture(context, batch, await attacked(context, batch, attack), spec)
    await context.update()
    if (guard === 0 || (batch.step + 1) % context.stepsPerEpoch !== 0) return figures
    const guarded = await probed(context, batch, probe)
    const last = context.memory.get('guard')?.floats[0]
    if (last !== undefined && guarded < last - guard) {
      await context.engine.load(remembered(context))
      context.finish(
        `catastrophic overfitting: PGD-5 accuracy fell from ${last.toFixed(2)} to ${guarded.toFixed(2)}; ` +
          'the weights are those before',
      )
    } else {
      context.memory.set('guard', Tensor.float32([1], [guarded]))
      for (const [name, tensor] of await context.engine.state()) context.memory.set(`good/${name}`, tensor)
    }
    return { ...figures, guard: guarded }
  }
}

async function probed(
  context: MethodContext,
  batch: TrainingBatch,
  attack: Parameters<typeof attacked>[2],
): Promise<number> {
  const { inference } = objectives(context).adversarial
  const image = await attacked(context, batch, attack)
  const { logits } = await context.engine.forward(inference, { image }, ['logits'])
  return accuracyOf(logits!, batch.labels)
}

const remembered = ({ memory }: MethodContext) =>
  new Map(
    [...memory]
      .filter(([name]) => name.startsWith('good/'))
      .map(([name, tensor]) => [name.slice('good/'.length), tensor]),
  )
