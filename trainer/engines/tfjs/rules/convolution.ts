import * as tf from '@tensorflow/tfjs'
import { type Attributes, describe, type Node } from '../../../../converters/onnx/graph.ts'
import { ZooError } from '../../../../manifests/error.ts'
import { affineByChannel, meanByChannel } from '../channel.ts'
import { withGradient } from '../custom-gradient.ts'
import type { Operands, Rule, RuleTable } from '../rule.ts'
import { inNhwc, toHwio, toNhwc } from '../value.ts'
import { runningAffine } from './normalisation.ts'

export type Pair = [number, number]
export type Pads = [Pair, Pair, Pair, Pair]

/** Stride, dilation and NHWC padding of a two-dimensional window over [height, width]. */
export interface Window {
  readonly strides: Pair
  readonly dilations: Pair
  readonly pads: Pads
}

/** @throws ZooError `unsupported-model` for windows that are not two-dimensional */
export function windowOf(node: Node, attributes: Attributes, size: Pair, kernel: readonly number[]): Window {
  if (kernel.length !== 2)
    throw new ZooError(
      'unsupported-model',
      `${describe(node)} is not two-dimensional, and training covers only that`,
    )
  const strides = (attributes.ints('strides') ?? [1, 1]) as Pair
  const dilations = (attributes.ints('dilations') ?? [1, 1]) as Pair
  const given = attributes.ints('pads') ?? [0, 0, 0, 0]
  const automatic = attributes.string('auto_pad', 'NOTSET')
  const axis = (i: 0 | 1): Pair => {
    if (automatic === 'NOTSET') return [given[i]!, given[i + 2]!]
    if (automatic === 'VALID') return [0, 0]
    const reach = (kernel[i]! - 1) * dilations[i] + 1
    const total = Math.max((Math.ceil(size[i] / strides[i]) - 1) * strides[i] + reach - size[i], 0)
    const [less, more] = [total >> 1, total - (total >> 1)]
    return automatic === 'SAME_LOWER' ? [more, less] : [less, more]
  }
  return { strides, dilations, pads: [[0, 0], axis(0), axis(1), [0, 0]] }
}

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
  const { node, attributes, input } = operands
  const x = toNhwc(input(0))
  const [height, width] = kernel.shape
  const window = windowOf(node, attributes, [x.shape[1], x.shape[2]], [height, width])
  const groups = attributes.int('group', 1)
  const { strides, dilations, pads: pad } = window
  if (groups === 1) return biased(tf.conv2d(x, kernel, strides, pad, 'NHWC', dilations), bias)
  const kernels = tf.split(kernel, groups, 3) as tf.Tensor4D[]
  const parts = tf.split(x, groups, 3) as tf.Tensor4D[]
  const y = tf.concat(
    parts.map((part, i) => tf.conv2d(part, kernels[i]!, strides, pad, 'NHWC', dilations)),
    3,
  )
  return biased(y as tf.Tensor4D, bias)
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
