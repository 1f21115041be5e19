import { Tensor } from '../../converters/onnx/tensor.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { ascend } from '../adversary.ts'
import { accuracyOf, type Method, meanOf, objectives, probabilities, stepKey, targetsOf } from './method.ts'

/** Keeps the class that is already easiest to confuse from getting no weight at all. */
const FLOOR = 0.01

/**
 * Bilateral adversarial training (Wang & Zhang 2019): perturbs images and labels. Images take one targeted step from
 * a random start towards the most confusing class, the likeliest wrong one. Labels give up some of the true class to the
 * wrong ones in proportion to how much that raises the loss, -log p_k - min + 0.01; how much is such that the true class
 * keeps `labelMargin` times what the wrong ones get together (9 keeps 0.9: our reading of the paper's setting).
 * Its robustness does not stand up to AutoAttack.
 */
export const bilateral: Method<Extract<MethodSpec, { name: 'bilateral' }>> = (spec, context) => {
  const { network, engine } = context
  const { adversarial } = objectives(context)
  const attack = {
    norm: spec.norm,
    eps: spec.eps,
    step: spec.step ?? spec.eps,
    steps: 1,
    start: 'random',
    imageStart: 0,
    targeted: true,
  } as const
  return async (batch) => {
    const { images, labels } = batch
    const { logits } = await engine.forward(adversarial.inference, { image: images }, ['logits'])
    const p = probabilities(logits!)
    const attacked = await ascend({
      ...batch,
      engine,
      form: adversarial.inference,
      attack,
      target: targetsOf(mostConfusing(p, labels), network.classes),
      descend: true,
      key: stepKey(context, batch),
    })
    const target = adversarialLabels(p, labels, spec.labelMargin)
    const form = context.trained(adversarial)
    const { outputs } = await engine.accumulate(form, { image: attacked, target }, { of: 'loss', weight: 1 })
    await context.update()
    return { loss: meanOf(outputs.loss!), accuracy: accuracyOf(outputs.logits!, labels) }
  }
}

/** The likeliest class but the label; a tie goes to the lower class. */
export function mostConfusing(p: Tensor, labels: Int32Array): Int32Array {
  const classes = p.dims[1]!
  return labels.map((label, row) => {
    let best = label === 0 ? 1 : 0
    for (let k = 0; k < classes; k++)
      if (k !== label && p.floats[row * classes + k]! > p.floats[row * classes + best]!) best = k
    return best
  })
}

/** Labels [N, classes] perturbed against the network: see `bilateral`. */
export function adversarialLabels(p: Tensor, labels: Int32Array, margin: number): Tensor {
  const classes = p.dims[1]!
  const values = new Float32Array(p.size)
  for (const [row, label] of labels.entries()) {
    const cost = Array.from(
      { length: classes },
      (_, k) => -Math.log(Math.max(p.floats[row * classes + k]!, 1e-12)),
    )
    const least = Math.min(...cost.filter((_, k) => k !== label))
    const shares = cost.map((value, k) => (k === label ? 0 : value - least + FLOOR))
    const sum = shares.reduce((all, share) => all + share, 0)
    for (const [k, share] of shares.entries())
      values[row * classes + k] = k === label ? margin / (margin + 1) : share / sum / (margin + 1)
  }
  return Tensor.float32(p.dims, values)
}
