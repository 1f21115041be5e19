import type { Node } from '../../graph.ts'
import type { Emitter } from '../emitter.ts'
import { type Call, noGradient, type Rule, type RuleTable, rule } from '../rule.ts'
import { axisOf, needsBatch, product, range, type Size } from '../sizes.ts'

/** Reductions in the form of opset 18: axes are an input. */
export const reduction: RuleTable = {
  ReduceSum: reducing(({ dy }) => dy),
  ReduceMean: reducing(({ op, dy }, { count }) => divideBy(op, dy, count)),
  ReduceSumSquare: reducing(({ op, dy, x }) => op.mul(dy, op.scale(x[0]!, 2))),
  ReduceL1: reducing(({ op, dy, x }) => op.mul(dy, op.op('Sign', [x[0]!]))),
  /** x / y, and 0 where y is 0. */
  ReduceL2: reducing(({ op, dy, x }, { y }) => {
    const atZero = op.op('Equal', [y, op.scalar(0)])
    return op.mul(op.where(atZero, op.scalar(0), op.div(dy, op.where(atZero, op.scalar(1), y))), x[0]!)
  }),
  ReduceLogSum: reducing(({ op, dy }, { y }) => op.mul(dy, op.exp(op.neg(y)))),
  ReduceLogSumExp: reducing(({ op, dy, x }, { y }) => op.mul(dy, op.exp(op.sub(x[0]!, y)))),
  ReduceMax: reducing((call, { axes }) => call.op.mul(call.dy, holders(call, axes))),
  ReduceMin: reducing((call, { axes }) => call.op.mul(call.dy, holders(call, axes))),
  ReduceProd: reducing((call, { y, axes }) => call.op.mul(call.dy, otherFactors(call, y, axes))),

  ArgMax: noGradient('an index'),
  ArgMin: noGradient('an index'),

  /** The sum from the other end. */
  CumSum: rule(({ op, dy, x: [, axis], attributes }) => [
    () =>
      op.op('CumSum', [dy, axis!], {
        exclusive: attributes.int('exclusive', 0),
        reverse: 1 - attributes.int('reverse', 0),
      }),
    null,
  ]),
}

interface Reduced {
  /** The result with the reduced axes kept as size 1, so that it broadcasts against the input. */
  readonly y: string
  readonly axes: readonly number[]
  /** How many elements became one. */
  readonly count: Size
}

/** `gradient` gets a call whose dy has the reduced axes kept; what it gives is broadcast to the input's shape. */
function reducing(gradient: (call: Call, reduced: Reduced) => string): Rule {
  return rule((call) => {
    const { op, x, y, facts, node } = call
    const sizes = facts.sizes(x[0]!)
    const axes = reducedAxes(call)
    const kept = sizes.map((size, axis) => (axes.includes(axis) ? 1 : size))
    const flat = facts.sizes(y).length < sizes.length
    const keep = (value: string): string => (flat ? op.reshape(value, kept) : value)
    const input = (): string => {
      const dy = keep(call.dy)
      const reduced = { y: keep(y), axes, count: product(axes.map((axis) => sizes[axis]!)) }
      const result = gradient({ ...call, dy }, reduced)
      // The mean over an image is a global average pool by another name.
      if (
        sizes.length === 4 &&
        axes.length === 2 &&
        axes.includes(2) &&
        axes.includes(3) &&
        constantAlong(node)
      )
        return call.formulations.spread(op, result, sizes)
      return op.expand(
        result,
        sizes.map((size, axis) => (axes.includes(axis) ? size : 1)),
      )
    }
    return [input, null]
  })
}

/** Whether the gradient is the same for all elements that were reduced. */
const constantAlong = ({ opType }: Node): boolean => opType === 'ReduceSum' || opType === 'ReduceMean'

/** The axes that a reduction sums over, from its input or attribute; none given means all, unless it says "none". */
export function reducedAxes({ x, facts, attributes, node }: Call): number[] {
  const rank = facts.sizes(x[0]!).length
  const given = x[1] ? facts.constant(x[1])?.numbers : (attributes.ints('axes') ?? [])
  if (given === undefined) throw needsBatch(`the axes of ${node.opType} "${node.name}"`)
  if (given.length > 0) return given.map((axis) => axisOf(axis, rank))
  return attributes.int('noop_with_empty_axes', 0) ? [] : range(rank)
}

export function divideBy(op: Emitter, value: string, count: Size): string {
  if (typeof count === 'number') return op.scale(value, 1 / count)
  return op.div(value, op.cast(op.dims([count])))
}

/** Where the input holds the extreme value along `axes`, its share of the gradient: ties share evenly. */
export function holders({ op, x, y, facts }: Call, axes: readonly number[]): string {
  const sizes = facts.sizes(x[0]!)
  const kept = sizes.map((size, axis) => (axes.includes(axis) ? 1 : size))
  const extreme = facts.sizes(y).length < sizes.length ? op.reshape(y, kept) : y
  const holds = op.cast(op.op('Equal', [x[0]!, extreme]))
  return op.div(holds, op.sum(holds, axes, true))
}

/** For each factor the product of the others, zeros among them included. */
function otherFactors({ op, x }: Call, y: string, axes: readonly number[]): string {
  const isZero = op.op('Equal', [x[0]!, op.scalar(0)])
  const nonZero = op.where(isZero, op.scalar(1), x[0]!)
  const zeros = op.sum(op.cast(isZero), axes, true)
  const others = op.reduce('ReduceProd', nonZero, axes, true)
  const onlyZero = op.where(op.op('Equal', [zeros, op.scalar(1)]), others)
  return op.where(isZero, onlyZero, op.div(y, nonZero))
}
