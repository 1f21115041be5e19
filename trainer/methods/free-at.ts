import { Tensor } from '../../converters/onnx/tensor.ts'
import { NORMS } from '../../converters/perturb/norms.ts'
import { pgdStep } from '../../converters/perturb/pgd.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { accuracyOf, type Figures, type Method, meanOf, objectives, targetsOf } from './method.ts'

/**
 * Free adversarial training (Shafahi et al. 2019): each batch is replayed m times, and one backward pass gives both the
 * step of the weights and that of the perturbation, which is kept from batch to batch. Gradients to the image are those
 * of the training form. Divide the epochs by m to compare with other methods.
 */
export const freeAt: Method<Extract<MethodSpec, { name: 'free-at' }>> = (spec, context) => {
  const { network, engine, memory } = context
  const { adversarial } = objectives(context)
  const norm = NORMS[spec.norm]
  return async ({ images, labels }) => {
    const target = targetsOf(labels, network.classes, context.labelSmoothing)
    const size = images.size / images.dims[0]!
    const balls = { norm, origin: images.floats, eps: spec.eps, size }
    const noise = memory.get('noise')?.floats ?? new Float32Array(images.size)
    const x = images.floats.map((value, i) => Math.min(1, Math.max(0, value + noise[i]!)))
    let figures: Figures = {}
    for (let replay = 0; replay < spec.replays; replay++) {
      const { outputs, gradients } = await engine.accumulate(
        context.trained(adversarial),
        { image: Tensor.float32(images.dims, x), target },
        { of: 'loss', weight: 1, withRespectTo: ['image'] },
      )
      pgdStep(x, gradients.image!.floats, balls, spec.step)
      await context.update()
      figures = { loss: meanOf(outputs.loss!), accuracy: accuracyOf(outputs.logits!, labels) }
    }
    memory.set(
      'noise',
      Tensor.float32(
        images.dims,
        x.map((value, i) => value - images.floats[i]!),
      ),
    )
    return figures
  }
}
