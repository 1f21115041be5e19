import { type DataType, Tensor } from '../../onnx/tensor.ts'
import { axisOf, type Dim, over, product, times } from '../dims.ts'
import { constant, type Value } from '../lowering/value.ts'
import type { GraphNode } from './graphdef.ts'
import type { NodeCall } from './rule.ts'
import { strided } from './strides.ts'

/** Sizes and positions are short: what is longer is no shape arithmetic, and is left to the runtime. */
const LONGEST = 64

type Fold = (
  items: readonly (readonly Dim[])[],
  call: NodeCall,
) => { items: readonly Dim[]; dims?: readonly number[] } | undefined

/** Number by number, or with the open batch where that has a meaning. */
const each =
  (combine: (a: Dim, b: Dim) => Dim | undefined): Fold =>
  ([a = [], b = []]) => {
    const length = Math.max(a.length, b.length)
    const items: Dim[] = []
    for (let i = 0; i < length; i++) {
      const [left, right] = [a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i]]
      const result = left === undefined || right === undefined ? undefined : combine(left, right)
      if (result === undefined) return undefined
      items.push(result)
    }
    return { items }
  }

const numeric = (combine: (a: number, b: number) => number): Fold =>
  each((a, b) => (typeof a === 'number' && typeof b === 'number' ? combine(a, b) : undefined))

/** Operators that shape arithmetic is made of, over scalars and vectors. */
const FOLDS: Readonly<Record<string, Fold>> = {
  Add: numeric((a, b) => a + b),
  AddV2: numeric((a, b) => a + b),
  Sub: numeric((a, b) => a - b),
  Mul: each(times),
  RealDiv: numeric((a, b) => a / b),
  FloorDiv: each((a, b) => (typeof a === 'number' && typeof b === 'number' ? Math.floor(a / b) : over(a, b))),
  Maximum: numeric(Math.max),
  Minimum: numeric(Math.min),
  Cast: ([items], { attributes }) => ({
    items: items!.map((item) =>
      typeof item === 'number' && attributes.dtype('DstT', 'float32') === 'int32' ? Math.trunc(item) : item,
    ),
  }),
  Prod([items]) {
    const total = product(items!)
    return total === undefined ? undefined : { items: [total], dims: [] }
  },
  Pack: (inputs, { x }) =>
    x.dims.length === 0 ? { items: inputs.flat(), dims: [inputs.length] } : undefined,
  ConcatV2: (inputs) => {
    const items = inputs.slice(0, -1).flat()
    return { items, dims: [items.length] }
  },
  GatherV2: ([items, indices], { inputs }) => ({
    items: indices!.map((index) => items![axisOf(index as number, items!.length)]!),
    dims: inputs[1]!.dims as readonly number[],
  }),
  StridedSlice([items], call) {
    const { cuts, dims } = strided(call)
    const { begin, size, step } = cuts[0] ?? { begin: 0, size: items!.length, step: 1 }
    return {
      items: Array.from({ length: size }, (_, i) => items![begin + i * step]!),
      dims: dims as readonly number[],
    }
  },
  Slice: ([items, begin, size]) => {
    const [from, count] = [begin![0] as number, size![0] as number]
    const kept = items!.slice(from, count === -1 ? undefined : from + count)
    return { items: kept, dims: [kept.length] }
  },
  Range([start, limit, step]) {
    const [from, to, by] = [start![0], limit![0], step![0]]
    if (typeof from !== 'number' || typeof to !== 'number' || typeof by !== 'number') return undefined
    const items = Array.from({ length: Math.max(Math.ceil((to - from) / by), 0) }, (_, i) => from + i * by)
    return { items, dims: [items.length] }
  },
  Fill([sizes, value]) {
    const total = product(sizes!)
    if (typeof total !== 'number' || total > LONGEST) return undefined
    return { items: new Array<Dim>(total).fill(value![0]!), dims: sizes as readonly number[] }
  },
}

/**
 * What a node comes to where that is known when the model is converted, as sizes and positions must be; undefined
 * for a node that the file has to keep.
 */
export function folded(node: GraphNode, call: NodeCall): Value | readonly Value[] | undefined {
  const { inputs, x } = call
  if (node.op === 'Shape') return extents(node.name, x.dims, [x.dims.length], 'int32')
  if (node.op === 'Rank') return extents(node.name, [x.dims.length], [], 'int32')
  if (node.op === 'Size') {
    const total = product(x.dims)
    return total === undefined ? undefined : extents(node.name, [total], [], 'int32')
  }
  const items = inputs.map(itemsOf)
  if (node.op === 'Unpack' && x.dims.length === 1 && items[0])
    return items[0].map((item) => extents(node.name, [item], [], x.dtype))
  const fold = Object.hasOwn(FOLDS, node.op) ? FOLDS[node.op] : undefined
  if (fold === undefined || !items.every((list) => list !== undefined)) return undefined
  const result = fold(items, call)
  if (result === undefined || result.items.includes(undefined as never)) return undefined
  const widest = inputs.reduce((a, b) => (b.dims.length > a.dims.length ? b : a))
  const dtype = node.op === 'Cast' ? call.attributes.dtype('DstT', 'float32') : x.dtype
  return extents(node.name, result.items, result.dims ?? (widest.dims as readonly number[]), dtype)
}

/** A scalar's or vector's contents. */
function itemsOf(value: Value): readonly Dim[] | undefined {
  if (value.kind === 'extents') return value.items
  if (value.kind !== 'constant' || value.dims.length > 1 || value.tensor.size > LONGEST) return undefined
  return value.tensor.numbers
}

/** A weight where every item is a number. */
function extents(name: string, items: readonly Dim[], dims: readonly number[], dtype: DataType): Value {
  if (!items.every((item) => typeof item === 'number')) return { kind: 'extents', dtype, dims, items }
  const tensor =
    dtype === 'int32' ? Tensor.of('int32', dims, Int32Array.from(items)) : Tensor.float32(dims, items)
  return constant(name, tensor)
}
