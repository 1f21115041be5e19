import * as tf from '@tensorflow/tfjs'
import { ZooError } from '../../../../manifests/error.ts'
import { withGradient } from '../custom-gradient.ts'
import type { Operands, Rule, RuleTable } from '../rule.ts'
import { inNhwc, inOnnx, toNhwc, toOnnx } from '../value.ts'

const batchNormalization: Rule = (operands) =>
  operands.attributes.int('training_mode', 0) === 0 ? byRunning(operands) : byBatch(operands)

/** y = a·x + b with a and b from running statistics: two passes, and the gradient to x is one. */
function byRunning({ attributes, input }: Operands): ReturnType<Rule> {
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => input(i).tensor) as [
    tf.Tensor1D,
    tf.Tensor1D,
    tf.Tensor1D,
    tf.Tensor1D,
  ]
  const a = tf.mul(scale, tf.rsqrt(tf.add(variance, attributes.float('epsilon', 1e-5))))
  return inNhwc(tf.add(tf.mul(toNhwc(input(0)), a), tf.sub(bias, tf.mul(mean, a))))
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

/** Sum over all but the channels, of [.., C]: as a product with ones it runs at a matrix product's speed. */
function sumOverBatch(x: tf.Tensor): tf.Tensor1D {
  const channels = x.shape[x.rank - 1]!
  const rows = x.size / channels
  return tf.reshape(tf.matMul(tf.ones([1, rows]), tf.reshape(x, [rows, channels])), [channels])
}

/** Mean and biased variance of each channel. Nothing is differentiated here: see `normalisedByBatch`. */
function moments(x: tf.Tensor4D): { mean: tf.Tensor1D; variance: tf.Tensor1D } {
  const rows = x.size / x.shape[3]
  const both = withGradient([x], (input) => {
    const mean = tf.div(sumOverBatch(input), rows)
    const variance = tf.div(sumOverBatch(tf.square(tf.sub(input, mean))), rows)
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
  const count = x.size / x.shape[3]
  return withGradient([x, scale, bias], (input, gamma, beta) => {
    const inverse = tf.rsqrt(tf.add(variance, epsilon))
    const a = tf.mul(gamma, inverse)
    return {
      value: tf.add(tf.mul(input, a), tf.sub(beta, tf.mul(mean, a))),
      saved: [input, mean, inverse, a],
      gradient: (dy, saved) => {
        const [x, mean, inverse, a] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
        const dBias = sumOverBatch(dy)
        const dScale = tf.mul(inverse, tf.sub(sumOverBatch(tf.mul(dy, x)), tf.mul(mean, dBias)))
        // dx = a·(dy - mean(dy) - x̂·mean(dy·x̂)), as one affine function of dy and x.
        const slope = tf.div(tf.mul(tf.mul(a, inverse), dScale), -count)
        const offset = tf.sub(tf.div(tf.mul(a, dBias), -count), tf.mul(slope, mean))
        const dx = tf.add(tf.mul(dy, a), tf.add(tf.mul(x, slope), offset))
        return [dx, dScale, dBias]
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

export const NORMALISATION: RuleTable = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
}
