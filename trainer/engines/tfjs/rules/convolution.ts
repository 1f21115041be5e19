import * as tf from '@tensorflow/tfjs'
import { affineByChannel, meanByChannel } from '../channel.ts'
import { withGradient } from '../custom-gradient.ts'
import type { Operands, Rule, RuleTable } from '../rule.ts'
import { inNhwc, toHwio, toNhwc } from '../value.ts'
import { runningAffine } from './normalisation.ts'
import { type Pair, padded, windowOf } from './window.ts'

const conv: Rule = (operands) => {
  const bias = operands.optional(2)?.tensor as tf.Tensor1D | undefined
  return inNhwc(convolved(operands, toHwio(operands.input(1)), bias))
}

/** See `fusion.ts`: the norm's scale goes into the kernel, its shift becomes the bias. */
const convBatchNormalization: Rule = (operands) => {
  const { attributes, input, optional } = operands
  const { a, b } = runningAffine(attributes, (i) => input(i + 2).tensor)
  const bias = optional(2)?.tensor
  const kernel = tf.mul(toHwio(input(1)), a) as tf.Tensor4D
  return inNhwc(convolved(operands, kernel, bias ? tf.add(tf.mul(bias, a), b) : b))
}

function convolved(operands: Operands, kernel: tf.Tensor4D, bias: tf.Tensor1D | undefined): tf.Tensor4D {
  const image = toNhwc(operands.input(0))
  const window = windowOf(operands, image, kernel.shape.slice(0, 2))
  const taps = dilated(kernel, window.dilations)
  const { x, pad } = padded(image, { ...window, kernel: taps.shape.slice(0, 2) as Pair })
  const groups = operands.attributes.int('group', 1)
  if (groups === 1) return biased(tf.conv2d(x, taps, window.strides, pad), bias)
  const kernels = tf.split(taps, groups, 3) as tf.Tensor4D[]
  const parts = tf.split(x, groups, 3) as tf.Tensor4D[]
  const results = parts.map((part, i) => tf.conv2d(part, kernels[i]!, window.strides, pad))
  return biased(tf.concat(results, 3), bias)
}

/** A dilated kernel as one with zeros between its taps: tfjs has no gradient of dilated convolutions. */
function dilated(kernel: tf.Tensor4D, [down, across]: Pair): tf.Tensor4D {
  if (down === 1 && across === 1) return kernel
  const [height, width, inputs, outputs] = kernel.shape
  const apart = tf.pad(tf.reshape(kernel, [height, 1, width, 1, inputs * outputs]), [
    [0, 0],
    [0, down - 1],
    [0, 0],
    [0, across - 1],
    [0, 0],
  ])
  const whole = tf.reshape(apart, [height * down, width * across, inputs, outputs]) as tf.Tensor4D
  return tf.slice(whole, [0, 0, 0, 0], [(height - 1) * down + 1, (width - 1) * across + 1, inputs, outputs])
}

/** Not as tfjs's fused convolution, which always computes the kernel's gradient: attacks need only the image's. */
function biased(y: tf.Tensor4D, bias: tf.Tensor1D | undefined): tf.Tensor4D {
  if (!bias) return y
  const sum = withGradient([y, bias] as [tf.Tensor4D, tf.Tensor1D], (y, bias) => ({
    value: affineByChannel(y, tf.onesLike(bias), bias),
    saved: [],
    gradient: (dy) => [tf.clone(dy), tf.mul(meanByChannel(dy), dy.size / bias.size)],
  }))
  return sum as tf.Tensor4D
}

export const CONVOLUTION: RuleTable = { Conv: conv, 'zoo.ConvBatchNormalization': convBatchNormalization }
