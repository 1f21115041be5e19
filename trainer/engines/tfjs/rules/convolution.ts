import * as tf from '@tensorflow/tfjs'
import { type Attributes, describe, type Node } from '../../../../converters/onnx/graph.ts'
import { ZooError } from '../../../../manifests/error.ts'
import type { Rule, RuleTable } from '../rule.ts'
import { inNhwc, onnxShape, toHwio, toNhwc } from '../value.ts'

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

const conv: Rule = ({ node, attributes, input, optional }) => {
  const x = toNhwc(input(0))
  const kernel = input(1)
  const [, , height, width] = onnxShape(kernel) as [number, number, number, number]
  const { strides, dilations, pads } = windowOf(node, attributes, [x.shape[1], x.shape[2]], [height, width])
  const groups = attributes.int('group', 1)
  const bias = optional(2)?.tensor
  const convolve = (part: tf.Tensor4D, weights: tf.Tensor4D): tf.Tensor4D =>
    tf.conv2d(part, weights, strides, pads, 'NHWC', dilations)
  let y: tf.Tensor4D
  if (groups === 1) y = convolve(x, toHwio(kernel))
  else {
    const weights = tf.split(toHwio(kernel), groups, 3) as tf.Tensor4D[]
    const parts = tf.split(x, groups, 3) as tf.Tensor4D[]
    y = tf.concat(
      parts.map((part, i) => convolve(part, weights[i]!)),
      3,
    )
  }
  return inNhwc(bias ? tf.add(y, bias) : y)
}

export const CONVOLUTION: RuleTable = { Conv: conv }
