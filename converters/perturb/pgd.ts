import type { Norm } from './norm.ts'

/** Balls around a batch of clean images, row after row in one array; `eps` for all rows or one for each. */
export interface Balls {
  readonly norm: Norm
  readonly origin: Float32Array
  readonly eps: number | ArrayLike<number>
  /** Elements of one image: C*H*W. */
  readonly size: number
}

/** A value for all rows, or one for each. */
export type PerRow = number | ArrayLike<number>
export const at = (value: PerRow, row: number): number => (typeof value === 'number' ? value : value[row]!)

/** Row `index` of a batch as a view. */
export const rowOf = (batch: Float32Array, index: number, size: number): Float32Array =>
  batch.subarray(index * size, (index + 1) * size)

/**
 * One step of projected gradient ascent (Madry et al. 2018), in place: x ← P(x + step · direction of steepest ascent).
 * `x` and `gradient` are [rows, size] like `balls.origin`; `step` is in the norm's own length.
 * A negative step descends, as targeted attacks do.
 */
export function pgdStep(x: Float32Array, gradient: Float32Array, balls: Balls, step: PerRow): void {
  const { norm, origin, eps, size } = balls
  for (let row = 0; row * size < x.length; row++) {
    const image = rowOf(x, row, size)
    norm.ascend(image, rowOf(gradient, row, size), at(step, row))
    norm.project(image, rowOf(origin, row, size), at(eps, row))
  }
}
