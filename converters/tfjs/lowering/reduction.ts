import type { Dim } from '../dims.ts'
import { cast } from './elementwise.ts'
import type { Lowering } from './lowering.ts'
import { type Computed, layoutOf, storedAxis, type Value } from './value.ts'
import { asImage } from './window.ts'

export type Reduction = 'ReduceMean' | 'ReduceMax' | 'ReduceMin' | 'ReduceSum' | 'ReduceProd'

/** Reduces over axes as tfjs counts them. */
export function reduce(
  l: Lowering,
  opType: Reduction,
  x: Value,
  axes: readonly number[],
  keepDims: boolean,
): Computed {
  const rank = x.dims.length
  const gone = [...new Set(axes)].sort((a, b) => a - b)
  const dims = keepDims
    ? x.dims.map((dim, axis): Dim => (gone.includes(axis) ? 1 : dim))
    : x.dims.filter((_, axis) => !gone.includes(axis))
  const channelsKept = !gone.includes(rank - 1)
  // Without its batch, channels would come before space in the file but not in tfjs.
  const stays = keepDims || !channelsKept || gone[0] !== 0 || dims.length === 1
  const layout = stays ? layoutOf(x) : 'as-is'
  const result = !keepDims && (!channelsKept || dims.length < 3) ? 'as-is' : layout
  if (layout === 'channels-first' && globally(gone, rank) && opType in GLOBAL)
    return globalPool(l, GLOBAL[opType as keyof typeof GLOBAL], x, keepDims)
  const name = l.op(
    opType,
    [l.name(x, layout), l.builder.int64s(gone.map((axis) => storedAxis(axis, rank, layout)))],
    { keepdims: keepDims ? 1 : 0 },
  )
  return l.computed(name, x.dtype, dims, result)
}

const GLOBAL = { ReduceMean: 'GlobalAveragePool', ReduceMax: 'GlobalMaxPool' } as const

/** Are these the axes between batch and channels, all of them? */
const globally = (axes: readonly number[], rank: number): boolean =>
  rank > 2 && axes.length === rank - 2 && axes.every((axis, i) => axis === i + 1)

/** Over all of space, written as runtimes know it best. */
function globalPool(l: Lowering, opType: string, x: Value, keepDims: boolean): Computed {
  const { name, batch, channels, spatial } = asImage(l, x, 'channels-last')
  const pooled = l.op(opType, [name])
  return keepDims
    ? l.computed(pooled, x.dtype, [batch, ...spatial.map(() => 1), channels], 'channels-first')
    : l.computed(l.op('Flatten', [pooled], { axis: 1 }), x.dtype, [batch, channels])
}

/** The index of the largest or smallest element along an axis. */
export function argument(l: Lowering, opType: 'ArgMax' | 'ArgMin', x: Value, axis: number): Value {
  const name = l.op(opType, [l.name(x)], { axis, keepdims: 0 })
  const dims = x.dims.filter((_, i) => i !== axis)
  return cast(l, l.computed(name, 'int64', dims), 'int32')
}
