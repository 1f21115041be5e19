import * as tf from '@tensorflow/tfjs'

/**
 * How a tensor's axes stand. `onnx`: as ONNX has them. `nhwc`: an NCHW value with its channels moved last, which is
 * what tfjs convolves and pools; `hwio`: an OIHW kernel likewise. A value changes layout only where a rule needs it.
 */
export type Layout = 'onnx' | 'nhwc' | 'hwio'

export interface Value {
  readonly tensor: tf.Tensor
  readonly layout: Layout
}

export const inOnnx = (tensor: tf.Tensor): Value => ({ tensor, layout: 'onnx' })
export const inNhwc = (tensor: tf.Tensor): Value => ({ tensor, layout: 'nhwc' })

/** From ONNX's order, and back to it. */
const PERMUTATIONS = {
  nhwc: { into: [0, 2, 3, 1], back: [0, 3, 1, 2] },
  hwio: { into: [2, 3, 1, 0], back: [3, 2, 0, 1] },
} as const

const isOne = (size: number): boolean => size === 1

function moved(tensor: tf.Tensor, permutation: readonly number[]): tf.Tensor {
  // Where only axes of size 1 change places, the elements stay where they are.
  const order = permutation.filter((axis) => !isOne(tensor.shape[axis]!))
  if (order.every((axis, i) => i === 0 || order[i - 1]! < axis))
    return tf.reshape(
      tensor,
      permutation.map((axis) => tensor.shape[axis]!),
    )
  return tf.transpose(tensor, [...permutation])
}

export function toOnnx({ tensor, layout }: Value): tf.Tensor {
  return layout === 'onnx' ? tensor : moved(tensor, PERMUTATIONS[layout].back)
}

export function toLayout(value: Value, layout: Layout): tf.Tensor {
  if (value.layout === layout) return value.tensor
  const tensor = toOnnx(value)
  return layout === 'onnx' ? tensor : moved(tensor, PERMUTATIONS[layout].into)
}

export const toNhwc = (value: Value): tf.Tensor4D => toLayout(value, 'nhwc') as tf.Tensor4D
export const toHwio = (value: Value): tf.Tensor4D => toLayout(value, 'hwio') as tf.Tensor4D

/** The shape that ONNX gives this value. */
export function onnxShape({ tensor, layout }: Value): number[] {
  return layout === 'onnx'
    ? tensor.shape.slice()
    : PERMUTATIONS[layout].back.map((axis) => tensor.shape[axis]!)
}

/** The same axis of an ONNX value in its present layout; negative axes count from the end. */
export function axisIn(value: Value, axis: number): number {
  const positive = axis < 0 ? axis + value.tensor.rank : axis
  return value.layout === 'onnx'
    ? positive
    : (PERMUTATIONS[value.layout].into as readonly number[]).indexOf(positive)
}

/**
 * Operands of an elementwise operator in one layout, so that tfjs broadcasts them as ONNX would:
 * if one has its channels last, the others follow.
 */
export function aligned(values: readonly Value[]): { tensors: tf.Tensor[]; layout: Layout } {
  const rank = Math.max(...values.map(({ tensor }) => tensor.rank))
  const layout = rank === 4 ? (values.find((value) => value.layout !== 'onnx')?.layout ?? 'onnx') : 'onnx'
  if (layout === 'onnx') return { tensors: values.map(toOnnx), layout }
  return { tensors: values.map((value) => toLayout(ofRank4(value), layout)), layout }
}

function ofRank4(value: Value): Value {
  const { tensor } = value
  if (tensor.rank === 4) return value
  return inOnnx(tf.reshape(tensor, [...Array(4 - tensor.rank).fill(1), ...tensor.shape]))
}
