import * as tf from '@tensorflow/tfjs'
import { describe } from '../../../../converters/onnx/graph.ts'
import { ZooError } from '../../../../manifests/error.ts'
import type { Operands, Rule, RuleTable } from '../rule.ts'
import { inNhwc, toNhwc } from '../value.ts'
import { isPadded, padded, type Window, windowOf } from './window.ts'

function pooled(operands: Operands): { x: tf.Tensor4D; window: Window } {
  const { node, attributes, input } = operands
  const x = toNhwc(input(0))
  const window = windowOf(operands, x, attributes.ints('kernel_shape')!)
  if (attributes.int('ceil_mode', 0) !== 0 && !divides(x, window))
    throw new ZooError(
      'unsupported-model',
      `${describe(node)} rounds its output size up, which training doesn't cover`,
    )
  if (window.dilations.some((dilation) => dilation !== 1))
    throw new ZooError('unsupported-model', `${describe(node)} is dilated, which training doesn't cover`)
  return { x, window }
}

/** Whether the windows cover the padded input exactly, so that rounding up or down is the same. */
const divides = (x: tf.Tensor4D, { kernel, pads, strides }: Window): boolean =>
  ([0, 1] as const).every((i) => {
    const [before, after] = pads[i + 1]!
    return (x.shape[i + 1]! + before + after - kernel[i]) % strides[i] === 0
  })

/** Where padding has to be a number, it is one that no maximum is below. */
const LOWEST = -3.4e38

/** Ties: which of equal maxima takes the gradient is the backend's choice. */
const maxPool: Rule = (operands) => {
  const { x: image, window } = pooled(operands)
  if (operands.wanted(1))
    throw new ZooError(
      'unsupported-model',
      `${describe(operands.node)} outputs indices, which training doesn't cover`,
    )
  const { x, pad } = padded(image, window, LOWEST)
  return inNhwc(tf.maxPool(x, window.kernel, window.strides, pad))
}

/** Padding that doesn't count is divided out again, by the averages of ones under the same windows. */
const averagePool: Rule = (operands) => {
  const { x, window } = pooled(operands)
  const average = (image: tf.Tensor4D): tf.Tensor4D =>
    tf.avgPool(isPadded(window) ? tf.pad(image, window.pads) : image, window.kernel, window.strides, 'valid')
  if (!isPadded(window) || operands.attributes.int('count_include_pad', 0) !== 0) return inNhwc(average(x))
  return inNhwc(tf.div(average(x), average(tf.ones([1, x.shape[1], x.shape[2], 1]))))
}

const globalAveragePool: Rule = ({ input }) => inNhwc(tf.mean(toNhwc(input(0)), [1, 2], true))

export const POOLING: RuleTable = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
}
