import { alongAxis } from '../along-axis.ts'
import { type Call, type RuleTable, rule } from '../rule.ts'
import { axisOf, fixed, needsBatch, range, type Sizes } from '../sizes.ts'

export const padding: RuleTable = {
  Pad: rule((call) => [
    () => (call.attributes.string('mode', 'constant') === 'constant' ? cut(call) : mirrored(call)),
    null,
    () => constantValue(call),
    null,
  ]),
}

/** How many elements are added before and after each axis. */
function padsOf({ x, facts, node }: Call, sizes: Sizes): { before: number[]; after: number[] } {
  const read = (value: string): number[] => {
    const constant = facts.constant(value)?.numbers
    if (constant === undefined) throw needsBatch(`the padding of ${node.opType} "${node.name}"`)
    return constant
  }
  const pads = read(x[1]!)
  const axes = x[3] ? read(x[3]).map((axis) => axisOf(axis, sizes.length)) : range(sizes.length)
  const before = sizes.map(() => 0)
  const after = sizes.map(() => 0)
  for (const [i, axis] of axes.entries()) {
    before[axis] = pads[i]!
    after[axis] = pads[i + axes.length]!
  }
  return { before, after }
}

/** What padding added is cut off, and what negative padding cut off becomes zero. */
function cut(call: Call): string {
  const { before, after } = padsOf(call, call.facts.sizes(call.x[0]!))
  return call.op.pad(
    call.dy,
    [...before, ...after].map((pad) => -pad),
  )
}

/** Edge, reflect and wrap copy elements along each axis: their gradients are summed by a matrix of zeros and ones. */
function mirrored(call: Call): string {
  const { op, facts, attributes } = call
  const sizes = facts.sizes(call.x[0]!)
  const { before, after } = padsOf(call, sizes)
  const mode = attributes.string('mode', 'constant')
  let value = call.dy
  const current = [...facts.sizes(call.y)]
  for (const axis of range(sizes.length)) {
    if (before[axis] === 0 && after[axis] === 0) continue
    const size = fixed([sizes[axis]!], 'a padded axis')[0]!
    const origins = range(before[axis]! + size + after[axis]!).map((i) =>
      origin(i - before[axis]!, size, mode),
    )
    const matrix = new Float32Array(origins.length * size)
    for (const [i, from] of origins.entries()) matrix[i * size + from] = 1
    value = alongAxis(op, value, current, axis, op.floats([origins.length, size], matrix))
    current[axis] = size
  }
  return value
}

/** Which element stands at position `i`, which may lie outside. */
function origin(i: number, size: number, mode: string): number {
  if (mode === 'edge') return Math.min(Math.max(i, 0), size - 1)
  if (mode === 'wrap') return ((i % size) + size) % size
  const period = 2 * (size - 1)
  const folded = period === 0 ? 0 : ((i % period) + period) % period
  return folded < size ? folded : period - folded
}

/** The filler gets what all added elements get. */
function constantValue(call: Call): string {
  const { op, dy, facts, x, y } = call
  const rank = facts.sizes(y).length
  const total = (value: string): string => op.sum(value, range(rank), false)
  return op.reshape(op.sub(total(dy), total(cut(call))), facts.sizes(x[2]!))
}
