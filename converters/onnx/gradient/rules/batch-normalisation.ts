import { float } from '../../builder.ts'
import { once } from '../once.ts'
import type { Call, InputGradient } from '../rule.ts'
import { product, range, type Sizes } from '../sizes.ts'
import { divideBy } from './reduction.ts'

/** y = scale (x - mean) / sqrt(variance + epsilon) + shift, per channel. */
export const batchNormalization = (call: Call): readonly InputGradient[] =>
  call.attributes.int('training_mode', 0) ? training(call) : inference(call)

function inference(call: Call): InputGradient[] {
  const { op, dy, x } = call
  const [value, scale, , mean, variance] = x as [string, string, string, string, string]
  const inverse = once(() => inverseDeviation(call, variance))
  const sum = once(() => sumPerChannel(call, dy))
  /** Sum of dy (x - mean), per channel. */
  const moment = once(() => op.sub(sumPerChannel(call, op.mul(dy, value)), op.mul(mean, sum())))
  const slope = once(() => op.mul(scale, inverse()))
  return [
    () => affine(call, dy, slope(), zeros(call)),
    () => op.mul(moment(), inverse()),
    sum,
    () => op.neg(op.mul(slope(), sum())),
    () => op.scale(op.mul(op.mul(slope(), op.square(inverse())), moment()), -0.5),
  ]
}

/**
 * Mean and variance are the batch's own: with M elements per channel, a = scale / deviation, and sums over them,
 * dscale = sum dy (x - mean) / deviation and dx = a (dy - sum dy / M - (x - mean) / deviation dscale / M).
 * That is a dy + b x + c with a, b and c per channel.
 */
function training(call: Call): InputGradient[] {
  const { op, x, dys, attributes } = call
  const [value, scale] = x as [string, string]
  const dy = call.dy
  const momentum = attributes.float('momentum', 0.9)
  const mean = once(() => batchMean(call, momentum))
  const variance = once(() => batchVariance(call, momentum, mean()))
  const inverse = once(() => inverseDeviation(call, variance()))
  const sum = once(() => sumPerChannel(call, dy))
  const dscale = once(() =>
    op.mul(inverse(), op.sub(sumPerChannel(call, op.mul(dy, value)), op.mul(mean(), sum()))),
  )
  const perElement = (total: string): string => divideBy(op, total, elementsPerChannel(call))
  const input = (): string => {
    const a = op.mul(scale, inverse())
    const fromVariance = dys[2] ? op.scale(dys[2], 2 * (1 - momentum)) : null
    const ownB = op.neg(op.mul(op.mul(a, inverse()), dscale()))
    const b = perElement(fromVariance ? op.add(ownB, fromVariance) : ownB)
    const fromMean = dys[1] ? op.scale(dys[1], 1 - momentum) : null
    const ownC = op.neg(op.mul(a, sum()))
    const c = op.sub(perElement(fromMean ? op.add(ownC, fromMean) : ownC), op.mul(b, mean()))
    return op.add(affine(call, dy, a, zeros(call)), affine(call, value, b, c))
  }
  const running = (which: number) => () =>
    dys[which] ? op.scale(dys[which], momentum) : op.scale(call.x[2 + which]!, 0)
  return [input, dscale, sum, running(1), running(2)]
}

/** With momentum 0 the node's own outputs are the batch's mean and variance. */
const batchMean = (call: Call, momentum: number): string =>
  momentum === 0 ? call.output(1) : call.op.reduce('ReduceMean', call.x[0]!, otherAxes(call), false)

function batchVariance(call: Call, momentum: number, mean: string): string {
  if (momentum === 0) return call.output(2)
  const { op } = call
  const centred = op.sub(call.x[0]!, op.reshape(mean, perChannel(call)))
  return op.reduce('ReduceMean', op.square(centred), otherAxes(call), false)
}

const inverseDeviation = ({ op, attributes }: Call, variance: string): string =>
  op.op('Reciprocal', [op.sqrt(op.shift(variance, attributes.float('epsilon', 1e-5)))])

/** scale value + shift, per channel: as one operator, which onnxruntime also has in its blocked layout. */
function affine(call: Call, value: string, scale: string, shift: string): string {
  const { op } = call
  const one = op.filled(perChannel(call).slice(0, 1), 1)
  return op.op('BatchNormalization', [value, scale, shift, zeros(call), one], { epsilon: float(0) })
}

const zeros = (call: Call): string => call.op.filled(perChannel(call).slice(0, 1), 0)

/** The shape in which one number per channel broadcasts against the input. */
function perChannel({ facts, x }: Call): Sizes {
  const sizes = facts.sizes(x[0]!)
  return [sizes[1]!, ...range(sizes.length - 2).map(() => 1)]
}

const otherAxes = ({ facts, x }: Call): number[] => [0, ...range(facts.sizes(x[0]!).length - 2, 2)]

const elementsPerChannel = (call: Call) =>
  product(otherAxes(call).map((axis) => call.facts.sizes(call.x[0]!)[axis]!))

const sumPerChannel = (call: Call, value: string): string => call.op.sum(value, otherAxes(call), false)
