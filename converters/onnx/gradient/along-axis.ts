import type { Emitter } from './emitter.ts'
import { range, type Sizes } from './sizes.ts'

/** Multiplies a value along one of its axes with a matrix [old size, new size]. */
export function alongAxis(op: Emitter, value: string, sizes: Sizes, axis: number, matrix: string): string {
  const last = sizes.length - 1
  if (axis === last) return op.matMul(value, matrix)
  const swapped = range(sizes.length).map((i) => (i === axis ? last : i === last ? axis : i))
  return op.transpose(op.matMul(op.transpose(value, swapped), matrix), swapped)
}
