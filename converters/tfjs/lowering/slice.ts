import { type Dim, type Dims, sameDims, shown } from '../dims.ts'
import { cast } from './elementwise.ts'
import { type Lowering, unsupported } from './lowering.ts'
import { expandDims, squeeze } from './shape.ts'
import { type Computed, layoutOf, storedAxis, type Value } from './value.ts'

/** What to keep of one axis: from `begin` on, `size` elements, each `step` after the one before (backwards if negative). */
export interface Cut {
  readonly axis: number
  readonly begin: number
  readonly size: number
  readonly step: number
}

/** Before everything, for a slice that runs backwards to the start. */
const BEFORE_START = -(2 ** 53 - 1)

export function slice(l: Lowering, x: Value, cuts: readonly Cut[]): Value {
  const needed = cuts.filter(({ axis, size, step }) => x.dims[axis] !== size || step !== 1)
  if (needed.length === 0) return x
  const layout = layoutOf(x)
  const rank = x.dims.length
  const ends = needed.map(({ begin, size, step }) => {
    const end = begin + size * step
    return end < 0 ? BEFORE_START : end
  })
  const name = l.op('Slice', [
    l.name(x, layout),
    l.builder.int64s(needed.map(({ begin }) => begin)),
    l.builder.int64s(ends),
    l.builder.int64s(needed.map(({ axis }) => storedAxis(axis, rank, layout))),
    l.builder.int64s(needed.map(({ step }) => step)),
  ])
  const dims = x.dims.map((dim, axis) => needed.find((cut) => cut.axis === axis)?.size ?? dim)
  return l.computed(name, x.dtype, dims, layout)
}

/** Neighbouring parts of `x` along an axis, of these sizes. */
export function split(l: Lowering, x: Value, axis: number, sizes: readonly number[]): Value[] {
  const layout = layoutOf(x)
  const names = l.ops(
    'Split',
    [l.name(x, layout), l.builder.int64s(sizes)],
    { axis: storedAxis(axis, x.dims.length, layout) },
    sizes.length,
  )
  return names.map((name, part) =>
    l.computed(
      name,
      x.dtype,
      x.dims.map((dim, i) => (i === axis ? sizes[part]! : dim)),
      layout,
    ),
  )
}

/** Values one after the other along an axis. One that lies channels-first brings the others there. */
export function concat(l: Lowering, values: readonly Value[], axis: number): Value {
  if (values.length === 1) return values[0]!
  const [first] = values as [Value]
  const rank = first.dims.length
  const without = (dims: Dims): Dims => dims.filter((_, i) => i !== axis)
  if (!values.every(({ dims }) => sameDims(without(dims), without(first.dims))))
    throw unsupported(`shapes ${values.map(({ dims }) => shown(dims)).join(', ')} cannot be joined`)
  const layout = values.some((value) => layoutOf(value) === 'channels-first') ? 'channels-first' : 'as-is'
  const typed = values.map((value) => cast(l, value, first.dtype))
  const name = l.op(
    'Concat',
    typed.map((value) => l.name(value, layout)),
    { axis: storedAxis(axis, rank, layout) },
  )
  const dims = first.dims.map(
    (dim, i): Dim => (i === axis ? sum(values.map(({ dims }) => dims[axis]!)) : dim),
  )
  return l.computed(name, first.dtype, dims, layout)
}

function sum(dims: Dims): Dim {
  if (dims.every((dim) => typeof dim === 'number')) return dims.reduce((total, dim) => total + dim, 0)
  if (dims.every((dim) => typeof dim !== 'number'))
    return { perImage: dims.reduce((total, dim) => total + dim.perImage, 0) }
  throw unsupported('images and single values cannot be joined into one batch')
}

/** Values of one shape along a new axis. */
export const pack = (l: Lowering, values: readonly Value[], axis: number): Value =>
  concat(
    l,
    values.map((value) => expandDims(l, value, [axis])),
    axis,
  )

/** The entries of an axis, each without it. */
export function unpack(l: Lowering, x: Value, axis: number): Value[] {
  const size = x.dims[axis]
  if (typeof size !== 'number') throw unsupported('a batch of unknown size cannot be taken apart')
  return split(l, x, axis, new Array<number>(size).fill(1)).map((part) => squeeze(l, part, [axis]))
}

/** The entries of an axis that `indices` names; the axes of `indices` take its place. */
export function gather(l: Lowering, x: Value, indices: Value, axis: number): Computed {
  const dims = [...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)]
  return l.computed(l.op('Gather', [l.name(x), l.name(indices)], { axis }), x.dtype, dims)
}

export type PadMode = 'constant' | 'reflect'

/** Adds elements before and after, by axis. Zeros around an image are left to the convolution that takes it, if one does. */
export function pad(
  l: Lowering,
  x: Value,
  pads: readonly (readonly [number, number])[],
  mode: PadMode = 'constant',
  value = 0,
): Value {
  if (pads.every(([before, after]) => before === 0 && after === 0)) return x
  const layout = layoutOf(x)
  const rank = x.dims.length
  const places = pads.map((_, axis) => pads.findIndex((__, i) => storedAxis(i, rank, layout) === axis))
  const stored = [...places.map((axis) => pads[axis]![0]), ...places.map((axis) => pads[axis]![1])]
  const name = l.op(
    'Pad',
    [l.name(x, layout), l.builder.int64s(stored), ...(mode === 'constant' ? [l.builder.scalar(value)] : [])],
    { mode },
  )
  const dims = x.dims.map((dim, axis) => grown(dim, pads[axis]![0] + pads[axis]![1]))
  const result = l.computed(name, x.dtype, dims, layout)
  if (mode === 'constant' && value === 0 && x.kind === 'computed') l.padded.set(name, { source: x, pads })
  return result
}

function grown(dim: Dim, by: number): Dim {
  if (by === 0) return dim
  if (typeof dim !== 'number') throw unsupported('a batch of unknown size cannot be padded')
  return dim + by
}
