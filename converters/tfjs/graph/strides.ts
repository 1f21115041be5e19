import type { Dim } from '../dims.ts'
import { unsupported } from '../lowering/lowering.ts'
import type { Cut } from '../lowering/slice.ts'
import { type NodeCall, numbersOf } from './rule.ts'

/** What a StridedSlice keeps of every axis, and the shape in which it leaves: without some axes, with others added. */
export interface Strided {
  readonly cuts: readonly Cut[]
  readonly dims: readonly Dim[]
}

/** Resolves begin, end and stride with TensorFlow's five masks (`tf.strided_slice`), one entry of the slice after the other. */
export function strided({ x, inputs, attributes }: NodeCall): Strided {
  const [begins, ends, steps] = [1, 2, 3].map((i) => numbersOf(inputs[i], 'positions')) as [
    number[],
    number[],
    number[],
  ]
  const mask = (name: string) => (entry: number) => ((attributes.int(name, 0) >> entry) & 1) === 1
  const fromStart = mask('begin_mask')
  const toEnd = mask('end_mask')
  const isEllipsis = mask('ellipsis_mask')
  const isNew = mask('new_axis_mask')
  const isSingle = mask('shrink_axis_mask')

  const taken = begins.filter((_, entry) => !isNew(entry) && !isEllipsis(entry)).length
  const cuts: Cut[] = []
  const dims: Dim[] = []
  let axis = 0
  for (const entry of begins.keys()) {
    if (isEllipsis(entry)) {
      for (const end = axis + x.dims.length - taken; axis < end; axis++) dims.push(x.dims[axis]!)
    } else if (isNew(entry)) {
      dims.push(1)
    } else {
      const cut = cutOf(axis, entry)
      if (cut) cuts.push(cut)
      if (!isSingle(entry)) dims.push(cut?.size ?? x.dims[axis]!)
      axis++
    }
  }
  dims.push(...x.dims.slice(axis))
  return { cuts, dims }

  /** undefined where the whole axis stays. */
  function cutOf(axis: number, entry: number): Cut | undefined {
    const step = steps[entry]!
    const length = x.dims[axis]
    if (typeof length !== 'number') {
      if (fromStart(entry) && toEnd(entry) && step === 1 && !isSingle(entry)) return undefined
      throw unsupported('a slice of the batch')
    }
    const place = (value: number): number => (value < 0 ? value + length : value)
    if (isSingle(entry)) return { axis, begin: place(begins[entry]!), size: 1, step: 1 }
    const [low, high] = step > 0 ? [0, length] : [-1, length - 1]
    const within = (value: number): number => Math.min(Math.max(place(value), low), high)
    const begin = fromStart(entry) ? (step > 0 ? low : high) : within(begins[entry]!)
    const end = toEnd(entry) ? (step > 0 ? high : low) : within(ends[entry]!)
    return { axis, begin, size: Math.max(Math.ceil((end - begin) / step), 0), step }
  }
}
