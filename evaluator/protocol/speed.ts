import { uniforms } from '../../converters/perturb/random.ts'
import type { Workshop } from './run-unit.ts'

/** Images per second that this process reaches, in gradients where the model has them, else in forward passes. */
export async function measureSpeed({ model, protocol }: Workshop, seconds: number): Promise<number> {
  const rows = Math.min(model.batch, protocol.examples)
  const x = uniforms([0], rows * model.shape.reduce((product, dim) => product * dim, 1))
  const labels = new Int32Array(rows)
  const once = () =>
    protocol.gradients ? model.gradient({ x, labels, targets: labels }, 'ce') : model.forward(x)
  await once()
  const began = performance.now()
  let images = 0
  do {
    await once()
    images += rows
  } while (performance.now() - began < 1000 * seconds)
  return (1000 * images) / (performance.now() - began)
}
