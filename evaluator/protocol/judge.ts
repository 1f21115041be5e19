import type { Norm } from '../../converters/perturb/norm.ts'
import { type Example, predict } from '../attacks/attack.ts'
import { perturbation, perturbed } from './adversarial.ts'

/**
 * How far outside the ball counts as rounding, since images are float32: a hundred-thousandth of the radius and a
 * millionth. Elements may leave [0,1] by a millionth, and are then moved to its edge.
 */
export const ballTolerance = (eps: number): number => 1e-5 * eps + 1e-6
const RANGE_TOLERANCE = 1e-6

export type Rejection = 'not a number' | 'outside [0,1]' | 'outside the ball'

/** An image as it will be stored and shown to the model. */
export interface Exhibit {
  readonly example: Example
  readonly steps: Int32Array
  readonly image: Float32Array
  readonly distance: number
  /** Why it cannot count, whatever the model says. */
  readonly rejected: Rejection | null
}

export interface Verdict {
  /** Misclassified and not rejected. */
  readonly broken: boolean
  readonly misclassified: boolean
  readonly prediction: number
}

/** Measures an image that an attack hands in. */
export function inspect(x: Float32Array, example: Example, norm: Norm): Exhibit {
  const steps = perturbation(x, example.origin)
  const image = perturbed(example.origin, steps)
  const distance = norm.distance(image, example.origin)
  const rejected = x.some(Number.isNaN)
    ? 'not a number'
    : x.some((value) => value < -RANGE_TOLERANCE || value > 1 + RANGE_TOLERANCE)
      ? 'outside [0,1]'
      : distance > example.eps + ballTolerance(example.eps)
        ? 'outside the ball'
        : null
  return { example, steps, image, distance, rejected }
}

/** What the forward-only model's logits for an exhibit mean. */
export function judge({ example, rejected }: Exhibit, logits: Float32Array): Verdict {
  const prediction = predict(logits)
  const misclassified = prediction !== example.label
  return { broken: misclassified && rejected === null, misclassified, prediction }
}
