import * as tf from '@tensorflow/tfjs'
import type { Attributes } from '../../../../converters/onnx/graph.ts'
import { ZooError } from '../../../../manifests/error.ts'
import { affineByChannel, meanByChannel } from '../channel.ts'
import { withGradient } from '../custom-gradient.ts'
import type { Operands, Rule, RuleTable } from '../rule.ts'
import { inNhwc, inOnnx, toNhwc, toOnnx } from '../value.ts'

const batchNormalization: Rule = (operands) =>
  operands.attributes.int('training_mode', 0) === 0 ? byRunning(operands) : byBatch(operands)

/** y = a·x + b with a and b from running statistics, which are constants. */
function byRunning({ attributes, input }: Operands): ReturnType<Rule> {
  const { a, b } = runningAffine(attributes, (i) => input(i).tensor)
  return inNhwc(
    withGradient([toNhwc(input(0)), a, b] as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D], (x, a, b) => ({
      value: affineByChannel(x, a, b),
      saved: [x, a],
      gradient: (dy, saved) => {
        const [x, a] = saved as [tf.Tensor, tf.Tensor1D]
        const count = x.size / a.size
        return [
          affineByChannel(dy, a, tf.zerosLike(a)),
          tf.mul(meanByChannel(tf.mul(dy, x)), count),
          tf.mul(meanByChannel(dy), count),
        ]
      },
    })),
  )
}

/** Scale and shift of a batch normalisation in its inference form; `input` gives its operands 1 to 4. */
export function runningAffine(
  attributes: Attributes,
  input: (index: number) => tf.Tensor,
): { a: tf.Tensor1D; b: tf.Tensor1D } {
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map(input) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ]
  const a = tf.mul(scale, tf.rsqrt(tf.add(variance, attributes.float('epsilon', 1e-5)))) as tf.Tensor1D
  return { a, b: tf.sub(bias, tf.mul(mean, a)) }
}

function byBatch({ attributes, input }: Operands): ReturnType<Rule> {
  const x = toNhwc(input(0))
  const [scale, bias] = [input(1).tensor as tf.Tensor1D, input(2).tensor as tf.Tensor1D]
  const { mean, variance } = moments(x)
  const y = normalisedByBatch(x, scale, bias, mean, variance, attributes.float('epsilon', 1e-5))
  const momentum = attributes.float('momentum', 0.9)
  const blended = (batch: tf.Tensor, running: tf.Tensor): tf.Tensor =>
    momentum === 0 ? batch : tf.add(tf.mul(running, momentum), tf.mul(batch, 1 - momentum))
  return [inNhwc(y), inOnnx(blended(mean, input(3).tensor)), inOnnx(blended(variance, input(4).tensor))]
}

/** Mean and biased variance of each channel. Nothing is differentiated here: see `normalisedByBatch`. */
function moments(x: tf.Tensor4D): { mean: tf.Tensor1D; variance: tf.Tensor1D } {
  const both = withGradient([x], (input) => {
    const mean = meanByChannel(input)
    const centred = affineByChannel(input, tf.onesLike(mean), tf.neg(mean))
    const variance = meanByChannel(tf.square(centred))
    return {
      value: tf.stack([mean, variance]),
      saved: [],
      gradient: () => {
        throw new ZooError('internal', 'batch statistics are not differentiated')
      },
    }
  })
  const [mean, variance] = tf.unstack(both) as [tf.Tensor1D, tf.Tensor1D]
  return { mean, variance }
}

/**
 * Batch normalisation with its gradient in closed form (Ioffe & Szegedy 2015, section 3), through mean and variance too.
 * It saves x and four vectors, where a composition would save several tensors of x's size.
 */
function normalisedByBatch(
  x: tf.Tensor4D,
  scale: tf.Tensor1D,
  bias: tf.Tensor1D,
  mean: tf.Tensor1D,
  variance: tf.Tensor1D,
  epsilon: number,
): tf.Tensor {
  return withGradient([x, scale, bias], (input, gamma, beta) => {
    const inverse = tf.rsqrt(tf.add(variance, epsilon)) as tf.Tensor1D
    const a = tf.mul(gamma, inverse) as tf.Tensor1D
    return {
      value: affineByChannel(input, a, tf.sub(beta, tf.mul(mean, a))),
      saved: [input, mean, inverse, a],
      gradient: (dy, saved) => {
        const [x, mean, inverse, a] = saved as [tf.Tensor, tf.Tensor1D, tf.Tensor1D, tf.Tensor1D]
        const count = x.size / a.size
        const meanDy = meanByChannel(dy)
        const meanDyNormal = tf.mul(inverse, tf.sub(meanByChannel(tf.mul(dy, x)), tf.mul(mean, meanDy)))
        // dx = a·(dy - mean(dy) - x̂·mean(dy·x̂)), as an affine function of dy plus one of x.
        const slope = tf.neg(tf.mul(tf.mul(a, inverse), meanDyNormal)) as tf.Tensor1D
        const offset = tf.neg(tf.add(tf.mul(a, meanDy), tf.mul(slope, mean))) as tf.Tensor1D
        const dx = tf.add(affineByChannel(dy, a, tf.zerosLike(a)), affineByChannel(x, slope, offset))
        return [dx, tf.mul(meanDyNormal, count), tf.mul(meanDy, count)]
      },
    }
  })
}

const instanceNormalization: Rule = ({ attributes, input }) => {
  const value = input(0)
  const x = toOnnx(value)
  const axes = x.shape.map((_, i) => i).slice(2)
  const { mean, variance } = tf.moments(x, axes, true)
  const perChannel = (tensor: tf.Tensor): tf.Tensor => tf.reshape(tensor, [x.shape[1]!, ...axes.map(() => 1)])
  const normal = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, attributes.float('epsilon', 1e-5))))
  return inOnnx(tf.add(tf.mul(normal, perChannel(input(1).tensor)), perChannel(input(2).tensor)))
}

const layerNormalization: Rule = ({ attributes, input, optional }) => {
  const x = toOnnx(input(0))
  const axis = attributes.int('axis', -1)
  const first = axis < 0 ? axis + x.rank : axis
  const axes = x.shape.map((_, i) => i).slice(first)
  const { mean, variance } = tf.moments(x, axes, true)
  const normal = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, attributes.float('epsilon', 1e-5))))
  const scaled = tf.mul(normal, toOnnx(input(1)))
  const shift = optional(2)
  return inOnnx(shift ? tf.add(scaled, toOnnx(shift)) : scaled)
}

/** Across channels (Krizhevsky et al. 2012): x / (bias + alpha/size · Σ x²)^beta over `size` neighbours. */
const lrn: Rule = ({ attributes, input }) => {
  const x = toNhwc(input(0))
  const size = attributes.int('size', 1)
  const before = Math.floor((size - 1) / 2)
  const squares = tf.pad(tf.square(x), [
    [0, 0],
    [0, 0],
    [0, 0],
    [before, size - 1 - before],
  ])
  const window = Array.from({ length: size }, (_, i) =>
    tf.slice(squares, [0, 0, 0, i], [x.shape[0], x.shape[1], x.shape[2], x.shape[3]]),
  )
  const scaled = tf.mul(tf.addN(window), attributes.float('alpha', 1e-4) / size)
  const denominator = tf.pow(tf.add(scaled, attributes.float('bias', 1)), attributes.float('beta', 0.75))
  return inNhwc(tf.div(x, denominator))
}

export const NORMALISATION: RuleTable = {
  LayerNormalization: layerNormalization,
  LRN: lrn,
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
}
