import { Tensor } from '../../onnx/tensor.ts'
import { type Dim, type Dims, isFixed, over, product, sameDim, sameDims, shown, times } from '../dims.ts'
import { type Lowering, onlyMovesUnits, unsupported } from './lowering.ts'
import { permuted, reshaped } from './permute.ts'
import { type Computed, constant, layoutOf, storedDims, toChannelsLast, type Value } from './value.ts'

/** The same elements in the same order under another shape; one entry of `target` may be -1: "what is left". */
export function reshape(l: Lowering, x: Value, target: Dims): Value {
  const dims = resolved(x.dims, target)
  if (sameDims(dims, x.dims)) return x
  if (x.kind === 'constant') return constant(x.name, reshaped(x.tensor, dims as number[]))
  if (x.kind === 'extents') return { ...x, dims: dims as number[] }
  // An image of one pixel goes straight to where the convolution after it wants it.
  const layout = dims.length > 3 && onlyMovesUnits(dims) ? 'channels-first' : 'as-is'
  const source = onlyMovesUnits(x.dims) ? x.name : l.name(x)
  return l.computed(l.reshape(source, storedDims(dims, layout)), x.dtype, dims, layout)
}

function resolved(dims: Dims, target: Dims): Dims {
  const total = product(dims)
  const known = product(target.filter((dim) => dim !== -1))
  if (total !== undefined && known !== undefined) {
    const left = over(total, known)
    if (target.includes(-1) && left !== undefined) return target.map((dim) => (dim === -1 ? left : dim))
    if (!target.includes(-1) && sameDim(total, known)) return target
  }
  throw unsupported(`a value of shape ${shown(dims)} cannot take the shape ${shown(target)}`)
}

/** Inserts axes of one element so that they lie at these places in the result. */
export function expandDims(l: Lowering, x: Value, axes: readonly number[]): Value {
  const rest = [...x.dims]
  const rank = x.dims.length + axes.length
  return reshape(
    l,
    x,
    Array.from({ length: rank }, (_, axis) => (axes.includes(axis) ? 1 : rest.shift()!)),
  )
}

/** Removes these axes of one element; all such axes if none is named. */
export function squeeze(l: Lowering, x: Value, axes: readonly number[]): Value {
  const gone = (dim: Dim, axis: number): boolean => (axes.length === 0 ? dim === 1 : axes.includes(axis))
  return reshape(
    l,
    x,
    x.dims.filter((dim, axis) => !gone(dim, axis)),
  )
}

/** Axis i of the result is axis `perm[i]` of `x`. A change of layout costs nothing here: it only changes how the value is read. */
export function transpose(l: Lowering, x: Value, perm: readonly number[]): Value {
  const rank = x.dims.length
  const dims = perm.map((axis) => x.dims[axis]!)
  if (x.kind === 'constant') return constant(x.name, permuted(x.tensor, perm))
  const reading = layoutOf(x) === 'as-is' || rank < 3 ? perm : perm.map((axis) => toChannelsLast(rank)[axis]!)
  const name = x.kind === 'computed' ? x.name : l.name(x)
  if (reading.every((axis, i) => axis === i)) return l.computed(name, x.dtype, dims)
  if (rank > 2 && reading.every((axis, i) => axis === toChannelsLast(rank)[i]))
    return l.computed(name, x.dtype, dims, 'channels-first')
  return l.computed(l.op('Transpose', [name], { perm: reading }), x.dtype, dims)
}

/** Repeats elements until `x` has this shape (numpy's rule). */
export function broadcastTo(l: Lowering, x: Value, dims: Dims): Computed {
  if (!isFixed(dims)) throw unsupported(`broadcasting to ${shown(dims)} depends on the batch size`)
  return l.computed(l.op('Expand', [l.name(x), l.builder.int64s(dims)]), x.dtype, dims)
}

/** `counts[axis]` copies one after the other along each axis. */
export function tile(l: Lowering, x: Value, counts: readonly number[]): Value {
  if (counts.every((count) => count === 1)) return x
  const dims = x.dims.map((dim, axis) => times(dim, counts[axis]!)!)
  return l.computed(l.op('Tile', [l.name(x), l.builder.int64s(counts)]), x.dtype, dims)
}

/** A weight of one value everywhere. */
export function filled(dims: readonly number[], value: number): Value {
  const size = dims.reduce((total, dim) => total * dim, 1)
  return constant('constant', Tensor.float32(dims, new Float32Array(size).fill(value)))
}
