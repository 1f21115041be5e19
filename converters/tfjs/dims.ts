/** An axis that grows with the batch: `perImage` elements for each image. */
export interface PerImage {
  readonly perImage: number
}

/** The size of one axis. Every size is known when a model is converted, but for the batch, which may stay open. */
export type Dim = number | PerImage
export type Dims = readonly Dim[]

export const BATCH: PerImage = { perImage: 1 }

export const isFixed = (dims: Dims): dims is readonly number[] => dims.every((dim) => typeof dim === 'number')

export const sameDim = (a: Dim, b: Dim): boolean =>
  typeof a === 'number' || typeof b === 'number' ? a === b : a.perImage === b.perImage

export const sameDims = (a: Dims, b: Dims): boolean =>
  a.length === b.length && a.every((dim, axis) => sameDim(dim, b[axis]!))

/** A product of sizes; undefined where the batch size would come in twice. */
export function times(a: Dim, b: Dim): Dim | undefined {
  if (typeof a === 'number') return typeof b === 'number' ? a * b : { perImage: a * b.perImage }
  return typeof b === 'number' ? { perImage: a.perImage * b } : undefined
}

/** The exact quotient of two sizes; undefined where there is none. */
export function over(a: Dim, b: Dim): Dim | undefined {
  const quotient = (typeof a === 'number' ? a : a.perImage) / (typeof b === 'number' ? b : b.perImage)
  if (!Number.isInteger(quotient)) return undefined
  if (typeof b !== 'number') return typeof a === 'number' ? undefined : quotient
  return typeof a === 'number' ? quotient : { perImage: quotient }
}

/** The number of elements. */
export const product = (dims: Dims): Dim | undefined =>
  dims.reduce<Dim | undefined>((total, dim) => (total === undefined ? undefined : times(total, dim)), 1)

/** The shape of two values combined element by element (numpy's rule); undefined where they don't fit. */
export function broadcast(a: Dims, b: Dims): Dims | undefined {
  const rank = Math.max(a.length, b.length)
  const result: Dim[] = []
  for (let axis = 0; axis < rank; axis++) {
    const left = a[axis - rank + a.length] ?? 1
    const right = b[axis - rank + b.length] ?? 1
    if (left === 1) result.push(right)
    else if (right === 1 || sameDim(left, right)) result.push(left)
    else return undefined
  }
  return result
}

/** How errors show a shape: `[N, 7, 7, 32]`. */
export const shown = (dims: Dims): string =>
  `[${dims.map((dim) => (typeof dim === 'number' ? dim : dim.perImage === 1 ? 'N' : `${dim.perImage}N`)).join(', ')}]`

/** A negative axis counted from the end. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

export const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i)
