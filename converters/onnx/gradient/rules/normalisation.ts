import type { Emitter } from '../emitter.ts'
import { once } from '../once.ts'
import { type Call, type InputGradient, type RuleTable, rule, ruleOfAllOutputs } from '../rule.ts'
import { axisOf, fixed, product, range, type Size, type Sizes } from '../sizes.ts'
import { unbroadcast } from '../unbroadcast.ts'
import { batchNormalization } from './batch-normalisation.ts'
import { divideBy } from './reduction.ts'

/**
 * Normalisations: xhat = (x - mean) / deviation over some axes, then scale and shift.
 * With g the gradient at xhat: dx = (g - mean(g) - xhat mean(g xhat)) / deviation.
 */
export const normalisation: RuleTable = {
  BatchNormalization: ruleOfAllOutputs(batchNormalization),

  InstanceNormalization: rule((call) => {
    const sizes = call.facts.sizes(call.x[0]!)
    const axes = range(sizes.length - 2, 2)
    const normal = once(() => standardised(call.op, call.x[0]!, sizes, axes, epsilonOf(call)))
    const perChannel: Sizes = [sizes[1]!, ...axes.map(() => 1)]
    return [
      () => backThrough(call.op, normal(), call.op.mul(call.dy, call.op.reshape(call.x[1]!, perChannel))),
      () => call.op.sum(call.op.mul(call.dy, normal().xhat), [0, ...axes], false),
      () => call.op.sum(call.dy, [0, ...axes], false),
    ]
  }),

  /** The outputs mean and 1 / deviation, which this gradient uses, have gradients of their own when it is differentiated. */
  LayerNormalization: ruleOfAllOutputs((call) => {
    const { op, dys, x, facts, attributes } = call
    const sizes = facts.sizes(x[0]!)
    const axes = range(sizes.length).slice(axisOf(attributes.int('axis', -1), sizes.length))
    const count = countOf(sizes, axes)
    const normal = once((): Standardised => {
      const inverse = call.output(2)
      return { xhat: op.mul(op.sub(x[0]!, call.output(1)), inverse), inverse, axes }
    })
    const [input, ...parameters] = scaledGradients(call, sizes, normal, backThrough)
    const statistics = (): string[] => {
      const { xhat, inverse } = normal()
      const fromMean = dys[1] ? [divideBy(op, dys[1], count)] : []
      const fromInverse = dys[2]
        ? [op.neg(op.mul(divideBy(op, op.mul(dys[2], op.square(inverse)), count), xhat))]
        : []
      return [...fromMean, ...fromInverse]
    }
    return [() => statistics().reduce(op.add, input!()), ...parameters]
  }),

  /** Without a mean: dx = (g - xhat mean(g xhat)) / deviation. */
  RMSNormalization: rule((call) => {
    const { op, x, facts, attributes } = call
    const sizes = facts.sizes(x[0]!)
    const axes = range(sizes.length).slice(axisOf(attributes.int('axis', -1), sizes.length))
    const normal = once((): Standardised => {
      const inverse = inverseRoot(op, op.reduce('ReduceMean', op.square(x[0]!), axes, true), epsilonOf(call))
      return { xhat: op.mul(x[0]!, inverse), inverse, axes }
    })
    return scaledGradients(call, sizes, normal, backThroughRms)
  }),

  GroupNormalization: rule(groupNormalization),

  MeanVarianceNormalization: rule((call) => {
    const { op, dy, x, facts, attributes } = call
    const sizes = facts.sizes(x[0]!)
    const axes = (attributes.ints('axes') ?? [0, 2, 3]).map((axis) => axisOf(axis, sizes.length))
    return [() => backThrough(op, standardised(op, x[0]!, sizes, axes, 0), dy)]
  }),

  /** y = x / |x|_p along one axis; where the norm is 0 so is the gradient. */
  LpNormalization: rule(({ op, dy, x, y, attributes }) => [
    () => {
      const axes = [attributes.int('axis', -1)]
      const euclidean = attributes.int('p', 2) === 2
      const norm = op.reduce(euclidean ? 'ReduceL2' : 'ReduceL1', x[0]!, axes, true)
      const slope = euclidean ? y : op.op('Sign', [x[0]!])
      const tangent = op.sub(dy, op.mul(slope, op.sum(op.mul(dy, y), axes, true)))
      const positive = op.op('Greater', [norm, op.scalar(0)])
      return op.where(positive, op.div(tangent, op.where(positive, norm, op.scalar(1))))
    },
  ]),

  LRN: rule((call) => [() => localResponse(call)]),
}

interface Standardised {
  readonly xhat: string
  /** 1 / deviation, broadcastable to xhat. */
  readonly inverse: string
  readonly axes: readonly number[]
}

const epsilonOf = ({ attributes }: Call): number => attributes.float('epsilon', 1e-5)

const countOf = (sizes: Sizes, axes: readonly number[]): Size => product(axes.map((axis) => sizes[axis]!))

const inverseRoot = (op: Emitter, variance: string, epsilon: number): string =>
  op.op('Reciprocal', [op.sqrt(op.shift(variance, epsilon))])

function standardised(
  op: Emitter,
  x: string,
  _sizes: Sizes,
  axes: readonly number[],
  epsilon: number,
): Standardised {
  const centred = op.sub(x, op.reduce('ReduceMean', x, axes, true))
  const inverse = inverseRoot(op, op.reduce('ReduceMean', op.square(centred), axes, true), epsilon)
  return { xhat: op.mul(centred, inverse), inverse, axes }
}

function backThrough(op: Emitter, normal: Standardised, g: string): string {
  const mean = op.reduce('ReduceMean', g, normal.axes, true)
  return op.mul(op.sub(op.sub(g, mean), alongNormal(op, normal, g)), normal.inverse)
}

const backThroughRms = (op: Emitter, normal: Standardised, g: string): string =>
  op.mul(op.sub(g, alongNormal(op, normal, g)), normal.inverse)

/** xhat mean(g xhat). */
const alongNormal = (op: Emitter, { xhat, axes }: Standardised, g: string): string =>
  op.mul(xhat, op.reduce('ReduceMean', op.mul(g, xhat), axes, true))

/** Where scale and shift broadcast to the input. */
function scaledGradients(
  { op, dy, x, facts }: Call,
  sizes: Sizes,
  normal: () => Standardised,
  back: typeof backThrough,
): (() => string)[] {
  return [
    () => back(op, normal(), op.mul(dy, x[1]!)),
    () => unbroadcast(op, op.mul(dy, normal().xhat), sizes, facts.sizes(x[1]!)),
    () => unbroadcast(op, dy, sizes, facts.sizes(x[2]!)),
  ]
}

/** Scale and shift are per channel since opset 21, and were per group before. */
function groupNormalization(call: Call): InputGradient[] {
  const { op, dy, x, facts, attributes } = call
  const sizes = facts.sizes(x[0]!)
  const groups = attributes.int('num_groups', 1)
  const [channels, ...image] = fixed(sizes.slice(1), 'an image size') as [number, ...number[]]
  const parameters = fixed(facts.sizes(x[1]!), 'a parameter')[0]!
  const perGroup: Sizes = [sizes[0]!, groups, product([channels / groups, ...image])]
  // [N, parameters, rest]: the view in which scale and shift are one number per row.
  const perParameter: Sizes = [sizes[0]!, parameters, product([channels / parameters, ...image])]
  const normal = once(() => standardised(op, op.reshape(x[0]!, perGroup), perGroup, [2], epsilonOf(call)))
  const rows = once(() => op.reshape(dy, perParameter))
  const scaled = () => op.mul(rows(), op.reshape(x[1]!, [parameters, 1]))
  return [
    () => op.reshape(backThrough(op, normal(), op.reshape(scaled(), perGroup)), sizes),
    () => op.sum(op.mul(rows(), op.reshape(normal().xhat, perParameter)), [0, 2], false),
    () => op.sum(rows(), [0, 2], false),
  ]
}

/**
 * y = x s^-beta, s = bias + alpha / size times the sum of x^2 over neighbouring channels:
 * dx = dy s^-beta - 2 alpha beta / size x times the sum over the same neighbours, mirrored, of dy y / s.
 */
function localResponse({ op, dy, x, y, facts, attributes }: Call): string {
  const sizes = facts.sizes(x[0]!)
  const size = attributes.int('size', 1)
  const alpha = attributes.float('alpha', 1e-4)
  const beta = attributes.float('beta', 0.75)
  const before = Math.floor((size - 1) / 2)
  const neighbours = (value: string, pads: readonly number[]): string => {
    const rows: Sizes = [sizes[0]!, 1, sizes[1]!, product(sizes.slice(2))]
    const pooled = op.op('AveragePool', [op.reshape(value, rows)], {
      kernel_shape: [size, 1],
      pads: [pads[0]!, 0, pads[1]!, 0],
      count_include_pad: 1,
    })
    return op.reshape(op.scale(pooled, size), sizes)
  }
  const after = size - 1 - before
  const s = op.shift(
    op.scale(neighbours(op.square(x[0]!), [before, after]), alpha / size),
    attributes.float('bias', 1),
  )
  const direct = op.mul(dy, op.op('Pow', [s, op.scalar(-beta)]))
  const shared = neighbours(op.div(op.mul(dy, y), s), [after, before])
  return op.sub(direct, op.scale(op.mul(x[0]!, shared), (2 * alpha * beta) / size))
}
