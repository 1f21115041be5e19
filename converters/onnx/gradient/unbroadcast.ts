import type { Emitter } from './emitter.ts'
import { range, type Sizes, sameSize, sameSizes } from './sizes.ts'

/**
 * Sums a gradient of shape `from` down to the shape `to` that was broadcast to it:
 * axes that were added in front vanish, axes of size 1 are summed over.
 */
export function unbroadcast(op: Emitter, gradient: string, from: Sizes, to: Sizes): string {
  if (sameSizes(from, to)) return gradient
  const added = from.length - to.length
  const stretched = range(to.length).filter((axis) => to[axis] === 1 && !sameSize(from[added + axis]!, 1))
  if (added === 0) return op.sum(gradient, stretched, true)
  const summed = op.sum(gradient, [...range(added), ...stretched.map((axis) => added + axis)], false)
  return stretched.length === 0 ? summed : op.reshape(summed, to)
}
