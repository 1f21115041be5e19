import { ZooError } from '../../../manifests/error.ts'

/** An axis that grows with the batch: `perImage` elements for each image. */
export interface PerImage {
  readonly perImage: number
}

/** The size of one axis of a value: a number, a multiple of the batch size, or null where it varies in another way. */
export type Size = number | PerImage | null
export type Sizes = readonly Size[]

export const sameSize = (a: Size, b: Size): boolean =>
  a === b ||
  (a !== null && b !== null && typeof a === 'object' && typeof b === 'object' && a.perImage === b.perImage)

export const sameSizes = (a: Sizes, b: Sizes): boolean =>
  a.length === b.length && a.every((size, axis) => sameSize(size, b[axis]!))

export const isFixed = (sizes: Sizes): sizes is readonly number[] =>
  sizes.every((size) => typeof size === 'number')

/** Thrown where a gradient needs a size that is known only once the batch size is. */
export const needsBatch = (what: string): ZooError =>
  new ZooError('unsupported-model', `${what} depends on the batch size`, {
    hint: 'give a fixed batch size (--batch N)',
  })

/** Sizes as numbers; an error that asks for a fixed batch where they vary with it. */
export function fixed(sizes: Sizes, what: string): number[] {
  if (!isFixed(sizes)) throw needsBatch(what)
  return [...sizes]
}

/** Sizes from `from` on as numbers: spatial axes, which don't vary with the batch. */
export const spatial = (sizes: Sizes, from = 2): number[] => fixed(sizes.slice(from), 'an image size')

/** The number of elements: a number, a multiple of the batch size, or null. */
export function product(sizes: Sizes): Size {
  let total: Size = 1
  for (const size of sizes) {
    if (size === null || total === null) return null
    if (typeof size === 'number')
      total = typeof total === 'number' ? total * size : { perImage: total.perImage * size }
    else if (typeof total === 'number') total = { perImage: total * size.perImage }
    else return null
  }
  return total
}

/** A negative axis counted from the end, as in the standard. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

/** All axes of a value of this rank. */
export const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i)
