import * as tf from '@tensorflow/tfjs'
import { describe } from '../../../../converters/onnx/graph.ts'
import { ZooError } from '../../../../manifests/error.ts'
import { NATIVE } from '../native/libraries.ts'
import type { Operands } from '../rule.ts'

export type Pair = [number, number]
export type Pads = [Pair, Pair, Pair, Pair]

/** Kernel size, stride, dilation and NHWC padding of a two-dimensional window over [height, width]. */
export interface Window {
  readonly kernel: Pair
  readonly strides: Pair
  readonly dilations: Pair
  readonly pads: Pads
}

/** @throws ZooError `unsupported-model` for windows that are not two-dimensional */
export function windowOf({ node, attributes }: Operands, x: tf.Tensor4D, kernel: readonly number[]): Window {
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
    const [less, more] = samePadding(x.shape[i + 1]!, reach, strides[i])
    return automatic === 'SAME_LOWER' ? [more, less] : [less, more]
  }
  return { kernel: [...kernel] as Pair, strides, dilations, pads: [[0, 0], axis(0), axis(1), [0, 0]] }
}

/** TensorFlow's SAME. */
function samePadding(size: number, kernel: number, stride: number): Pair {
  const total = Math.max((Math.ceil(size / stride) - 1) * stride + kernel - size, 0)
  return [total >> 1, total - (total >> 1)]
}

export const isPadded = ({ pads }: Window): boolean => pads.some(([before, after]) => before > 0 || after > 0)

/**
 * The input and the padding to give tfjs. libtensorflow's gradients take only VALID and SAME: there, any other padding
 * is added to the input, filled with `filler`.
 */
export function padded(
  x: tf.Tensor4D,
  window: Window,
  filler = 0,
): { x: tf.Tensor4D; pad: Pads | 'valid' | 'same' } {
  const { kernel, strides, pads } = window
  if (!isPadded(window)) return { x, pad: 'valid' }
  if (tf.getBackend() !== NATIVE) return { x, pad: pads }
  const isSame = ([0, 1] as const).every((i) =>
    tf.util.arraysEqual(pads[i + 1]!, samePadding(x.shape[i + 1]!, kernel[i], strides[i])),
  )
  return isSame ? { x, pad: 'same' } : { x: tf.pad(x, pads, filler), pad: 'valid' }
}
