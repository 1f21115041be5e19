import type { Key } from './random.ts'

export type NormName = 'linf' | 'l2' | 'l1'

/**
 * A norm as a value. Every method works on one image as a flat array; nothing is allocated where it says "in place".
 * The ball is closed, centred on a clean image `origin` in [0,1], and `eps` is its radius as a fraction of [0,1].
 * Sums are accumulated in double precision; images are float32, so a distance may exceed eps by its rounding (6e-8 an element).
 */
export interface Norm {
  readonly name: NormName
  /** ‖a - b‖; NaN where an element is NaN. */
  distance(a: Float32Array, b: Float32Array): number
  /** The dual norm, in which a gradient's length turns a gap in the function's value into a distance. */
  dual(gradient: Float32Array): number
  /** Moves `x` into the ball and into [0,1], in place. */
  project(x: Float32Array, origin: Float32Array, eps: number): void
  /** `x += length * direction`, in place: the direction of unit norm in which a function with this gradient grows fastest. */
  ascend(x: Float32Array, gradient: Float32Array, length: number): void
  /** Writes origin + noise, uniform over the ball, into `x`. The result is not cut to [0,1]. */
  sample(x: Float32Array, origin: Float32Array, eps: number, key: Key): void
  /** Writes a random point of the ball's surface into `x`, then cuts it to [0,1]: where Auto-PGD starts. */
  surface(x: Float32Array, origin: Float32Array, eps: number, key: Key): void
}
