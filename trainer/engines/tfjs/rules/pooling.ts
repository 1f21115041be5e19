import * as tf from '@tensorflow/tfjs'
import { describe } from '../../../../converters/onnx/graph.ts'
import { ZooError } from '../../../../manifests/error.ts'
import type { Operands, Rule, RuleTable } from '../rule.ts'
import { inNhwc, toNhwc } from '../value.ts'
import { type Pair, type Window, windowOf } from './convolution.ts'

function pooled(operands: Operands): { x: tf.Tensor4D; kernel: Pair; window: Window } {
  const { node, attributes, input } = operands
  const x = toNhwc(input(0))
  const kernel = attributes.ints('kernel_shape') as Pair
  const window = windowOf(node, attributes, [x.shape[1], x.shape[2]], kernel)
  if (attributes.int('ceil_mode', 0) !== 0 && !divides(x, kernel, window))
    throw new ZooError(
      'unsupported-model',
      `${describe(node)} rounds its output size up, which training doesn't cover`,
    )
  if (window.dilations.some((dilation) => dilation !== 1))
    throw new ZooError('unsupported-model', `${describe(node)} is dilated, which training doesn't cover`)
  return { x, kernel, window }
}

/** Whether the windows cover the padded input exactly, so that rounding up or down is the same. */
const divides = (x: tf.Tensor4D, kernel: Pair, { pads, strides }: Window): boolean =>
  ([0, 1] as const).every((i) => {
    const [before, after] = pads[i + 1]!
    return (x.shape[i + 1]! + before + after - kernel[i]) % strides[i] === 0
  })

const maxPool: Rule = (operands) => {
  const { x, kernel, window } = pooled(operands)
  if (operands.wanted(1))
    throw new ZooError(
      'unsupported-model',
      `${describe(operands.node)} outputs indices, which training doesn't cover`,
    )
  return inNhwc(tf.maxPool(x, kernel, window.strides, windowPads(window)))
}

/** tfjs leaves padding out of its averages, so padding that counts is added as zeros before. */
const averagePool: Rule = (operands) => {
  const { x, kernel, window } = pooled(operands)
  const counted = operands.attributes.int('count_include_pad', 0) !== 0
  if (counted && window.pads.flat().some((pad) => pad > 0))
    return inNhwc(tf.avgPool(tf.pad(x, window.pads), kernel, window.strides, 'valid'))
  return inNhwc(tf.avgPool(x, kernel, window.strides, windowPads(window)))
}

const windowPads = ({ pads }: Window): Window['pads'] | 'valid' =>
  pads.flat().every((pad) => pad === 0) ? 'valid' : pads

const globalAveragePool: Rule = ({ input }) => inNhwc(tf.mean(toNhwc(input(0)), [1, 2], true))

export const POOLING: RuleTable = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
}
