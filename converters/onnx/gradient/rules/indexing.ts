import type { Emitter } from '../emitter.ts'
import { type Call, type InputGradient, type RuleTable, rule } from '../rule.ts'
import { axisOf, fixed, needsBatch, product, range, type Size, type Sizes } from '../sizes.ts'
import { unsupported } from '../unsupported.ts'

/** Operators that pick elements by index: gradients are added to where the elements came from. */
export const indexing: RuleTable = {
  Slice: rule((call) => [() => slice(call), null]),
  Gather: rule((call) => [() => gather(call), null]),
  GatherElements: rule(({ op, dy, x, facts, attributes }) => [
    () => {
      const zeros = op.filled(facts.sizes(x[0]!), 0)
      const axis = attributes.int('axis', 0)
      return op.op('ScatterElements', [zeros, x[1]!, dy], { axis, reduction: 'add' })
    },
    null,
  ]),
  GatherND: rule((call) => [() => gatherND(call), null]),
  ScatterElements: rule((call) => {
    const { op, dy, x, facts, attributes } = call
    const axis = attributes.int('axis', 0)
    const cleared = () => op.op('ScatterElements', [dy, x[1]!, op.filled(facts.sizes(x[2]!), 0)], { axis })
    const picked = () => op.op('GatherElements', [dy, x[1]!], { axis })
    return scatter(call, cleared, picked)
  }),
  ScatterND: rule((call) => {
    const { op, dy, x, facts } = call
    const cleared = () => op.op('ScatterND', [dy, x[1]!, op.filled(facts.sizes(x[2]!), 0)])
    return scatter(call, cleared, () => op.op('GatherND', [dy, x[1]!]))
  }),
  TopK: rule((call) => [
    () => {
      const { op, dy, x, facts, attributes } = call
      const zeros = op.filled(facts.sizes(x[0]!), 0)
      return op.op('ScatterElements', [zeros, call.output(1), dy], { axis: attributes.int('axis', -1) })
    },
    null,
  ]),
  /** `values` is [off, on]. */
  OneHot: rule(({ op, dy, node, x, y, facts }) => [
    null,
    null,
    () => {
      const on = op.repeat(node, [x[0]!, x[1]!, op.floats([2], [0, 1])])
      const all = range(facts.sizes(y).length)
      const total = (value: string): string => op.reshape(op.sum(value, all, false), [1])
      const hot = total(op.mul(dy, on))
      return op.concat([op.sub(total(dy), hot), hot], 0)
    },
  ]),
  ReverseSequence: rule(({ op, dy, node, x }) => [() => op.repeat(node, [dy, x[1]!]), null]),
}

/** Elements that were overwritten get nothing; elements that were added to keep theirs. */
function scatter(call: Call, cleared: () => string, picked: () => string): InputGradient[] {
  const reduction = call.attributes.string('reduction', 'none')
  if (reduction !== 'none' && reduction !== 'add') throw unsupported(call, `reduction ${reduction}`)
  return [reduction === 'add' ? () => call.dy : cleared, null, picked]
}

interface Cut {
  readonly axis: number
  readonly start: number
  readonly step: number
  /** How many elements are kept. */
  readonly count: number
  readonly size: number
}

/** Puts dy back in its place among zeros, steps between elements included. */
function slice(call: Call): string {
  const { op, facts, x, y } = call
  const sizes = facts.sizes(x[0]!)
  const kept = [...facts.sizes(y)]
  let value = call.dy
  const pads = sizes.map(() => [0, 0])
  for (const { axis, start, step, count, size } of cutsOf(call, sizes)) {
    const stride = Math.abs(step)
    if (step < 0) value = op.flip(value, [axis])
    const first = step < 0 ? start + (count - 1) * step : start
    if (stride > 1) {
      value = spaceOut(op, value, kept, axis, stride)
      kept[axis] = count * stride
    }
    pads[axis] = [first, size - first - count * stride]
  }
  return op.pad(value, [...pads.map(([before]) => before!), ...pads.map(([, after]) => after!)])
}

/** Puts stride - 1 zeros behind each element along an axis. */
function spaceOut(op: Emitter, value: string, sizes: Sizes, axis: number, stride: number): string {
  const split = [...sizes.slice(0, axis + 1), 1, ...sizes.slice(axis + 1)]
  const pads = split.map((_, i) => (i === axis + 1 ? stride - 1 : 0))
  const spaced = op.pad(op.reshape(value, split), [...split.map(() => 0), ...pads])
  const count = product([sizes[axis]!, stride])
  return op.reshape(
    spaced,
    sizes.map((size, i) => (i === axis ? count : size)),
  )
}

/** The axes that a Slice cuts, indices resolved as the standard says. */
function cutsOf({ x, y, facts, node }: Call, sizes: Sizes): Cut[] {
  const read = (i: number): number[] | undefined => {
    const value = facts.constant(x[i]!)?.numbers
    if (value === undefined) throw needsBatch(`where ${node.opType} "${node.name}" cuts`)
    return value
  }
  const starts = read(1)!
  const axes = x[3] ? read(3)!.map((axis) => axisOf(axis, sizes.length)) : range(starts.length)
  const steps = x[4] ? read(4)! : starts.map(() => 1)
  return axes.flatMap((axis, i): Cut[] => {
    const step = steps[i]!
    const kept = facts.sizes(y)[axis]!
    if (step === 1 && sameAxis(kept, sizes[axis]!)) return []
    const [size, count] = fixed([sizes[axis]!, kept], 'a sliced axis') as [number, number]
    const from = starts[i]! < 0 ? starts[i]! + size : starts[i]!
    const start = step > 0 ? Math.min(Math.max(from, 0), size) : Math.min(Math.max(from, 0), size - 1)
    return [{ axis, start, step, count, size }]
  })
}

const sameAxis = (a: Size, b: Size): boolean => JSON.stringify(a) === JSON.stringify(b)

function gather(call: Call): string {
  const { op, dy, x, facts, attributes } = call
  const sizes = facts.sizes(x[0]!)
  const indexSizes = facts.sizes(x[1]!)
  const axis = axisOf(attributes.int('axis', 0), sizes.length)
  const size = sizes[axis]!
  const constant = facts.constant(x[1]!)?.numbers
  if (constant !== undefined && constant.length > 0 && typeof size === 'number') {
    const indices = constant.map((index) => axisOf(index, size))
    const flat = [...sizes.slice(0, axis), indices.length, ...sizes.slice(axis + 1)]
    const rows = indexSizes.length === 1 ? dy : op.reshape(dy, flat)
    if (indices.every((index, i) => index === indices[0]! + i)) {
      const pads = [indices[0]!, size - indices[0]! - indices.length]
      return op.pad(
        rows,
        pads.flatMap((pad) => sizes.map((_, i) => (i === axis ? pad : 0))),
      )
    }
    // A permutation is undone by its inverse.
    const inverse = range(size).map((i) => indices.indexOf(i))
    if (indices.length === size && !inverse.includes(-1))
      return op.op('Gather', [rows, op.ints(inverse)], { axis })
  }
  return scatterAlong(op, dy, x[1]!, { sizes, indexSizes, axis })
}

interface Gathered {
  readonly sizes: Sizes
  readonly indexSizes: Sizes
  readonly axis: number
}

/** Adds each row of dy to the row of the input that it was copied from. */
function scatterAlong(
  op: Emitter,
  dy: string,
  indices: string,
  { sizes, indexSizes, axis }: Gathered,
): string {
  const count = indexSizes.length
  const rank = sizes.length - 1 + count
  const indexAxes = range(count, axis)
  const others = range(rank).filter((i) => !indexAxes.includes(i))
  const rowsFirst = op.transpose(dy, [...indexAxes, ...others])
  const zeros = op.filled([sizes[axis]!, ...sizes.slice(0, axis), ...sizes.slice(axis + 1)], 0)
  const tuples = op.reshape(indices, [...indexSizes, 1])
  const scattered = op.op('ScatterND', [zeros, tuples, rowsFirst], { reduction: 'add' })
  return op.transpose(scattered, [...range(axis, 1), 0, ...range(sizes.length - axis - 1, axis + 1)])
}

/** Batch axes become one, whose index is put in front of the others. */
function gatherND({ op, dy, x, facts, attributes }: Call): string {
  const sizes = facts.sizes(x[0]!)
  const batchAxes = attributes.int('batch_dims', 0)
  const add = (zeros: Sizes, indices: string, rows: string): string =>
    op.op('ScatterND', [op.filled(zeros, 0), indices, rows], { reduction: 'add' })
  if (batchAxes === 0) return add(sizes, x[1]!, dy)
  const indexSizes = facts.sizes(x[1]!)
  const depth = indexSizes.at(-1)!
  const batch = product(sizes.slice(0, batchAxes))
  const tuples = product(indexSizes.slice(batchAxes, -1))
  const end = op.reshape(op.dims([batch]), [])
  const zero = op.int64(0)
  const counted = op.op('Range', [zero, end, op.int64(1)])
  const batchIndex = op.expand(op.reshape(counted, [batch, 1, 1]), [1, tuples, 1])
  const indices = op.concat([batchIndex, op.reshape(x[1]!, [batch, tuples, depth])], 2)
  const tail = sizes.slice(batchAxes)
  const rowSizes = tail.slice(Number(depth))
  const scattered = add([batch, ...tail], indices, op.reshape(dy, [batch, tuples, ...rowSizes]))
  return op.reshape(scattered, sizes)
}
