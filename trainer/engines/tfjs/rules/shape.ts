import * as tf from '@tensorflow/tfjs'
import { describe } from '../../../../converters/onnx/graph.ts'
import { dataTypeFromCode, isFloat } from '../../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../../manifests/error.ts'
import type { Rule, RuleTable } from '../rule.ts'
import { axisIn, inOnnx, onnxShape, toLayout, toOnnx } from '../value.ts'

const product = (dims: readonly number[]): number => dims.reduce((all, dim) => all * dim, 1)

const reshape: Rule = ({ attributes, input, integers }) => {
  const value = input(0)
  const from = onnxShape(value)
  const copiesZero = attributes.int('allowzero', 0) === 0
  const dims = integers(1)!.map((dim, i) => (dim === 0 && copiesZero ? from[i]! : dim))
  return inOnnx(tf.reshape(toOnnx(value), dims))
}

const flatten: Rule = ({ attributes, input }) => {
  const value = input(0)
  const shape = onnxShape(value)
  const given = attributes.int('axis', 1)
  const axis = given < 0 ? given + shape.length : given
  const dims = [product(shape.slice(0, axis)), product(shape.slice(axis))]
  return inOnnx(tf.reshape(toOnnx(value), dims))
}

const transpose: Rule = ({ attributes, input }) =>
  inOnnx(tf.transpose(toOnnx(input(0)), attributes.ints('perm')))

const concat: Rule = ({ attributes, count, input }) => {
  const values = Array.from({ length: count }, (_, i) => input(i))
  const { layout } = values[0]!
  const axis = axisIn(values[0]!, attributes.int('axis', 0))
  return {
    tensor: tf.concat(
      values.map((value) => toLayout(value, layout)),
      axis,
    ),
    layout,
  }
}

const squeeze: Rule = ({ attributes, input, integers }) => {
  const x = toOnnx(input(0))
  const axes = (integers(1) ?? attributes.ints('axes'))?.map((axis) => (axis < 0 ? axis + x.rank : axis))
  return inOnnx(tf.squeeze(x, axes))
}

const unsqueeze: Rule = ({ attributes, input, integers }) => {
  const x = toOnnx(input(0))
  const axes = (integers(1) ?? attributes.ints('axes'))!
  const rank = x.rank + axes.length
  const added = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)))
  const rest = [...x.shape]
  const shape = Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : rest.shift()!))
  return inOnnx(tf.reshape(x, shape))
}

const pad: Rule = ({ node, attributes, input, optional, integers }) => {
  const value = input(0)
  if (attributes.string('mode', 'constant') !== 'constant')
    throw new ZooError(
      'unsupported-model',
      `${describe(node)} pads with what is not a constant, which training doesn't cover`,
    )
  const { rank } = value.tensor
  const axes = integers(3) ?? Array.from({ length: rank }, (_, i) => i)
  const amounts = integers(1)!
  const pads = Array.from({ length: rank }, (): [number, number] => [0, 0])
  for (const [i, axis] of axes.entries()) pads[axisIn(value, axis)] = [amounts[i]!, amounts[i + axes.length]!]
  if (pads.flat().some((amount) => amount < 0))
    throw new ZooError('unsupported-model', `${describe(node)} crops, which training doesn't cover`)
  const filler = optional(2)?.tensor.dataSync()[0] ?? 0
  return { tensor: tf.pad(value.tensor, pads, filler), layout: value.layout }
}

/** Forward slices in steps of 1; bounds count from the end where they are negative, and are cut to the axis. */
const slice: Rule = ({ node, input, integers }) => {
  const value = input(0)
  const [starts, ends] = [integers(1)!, integers(2)!]
  const steps = integers(4) ?? starts.map(() => 1)
  const axes = integers(3) ?? starts.map((_, i) => i)
  if (steps.some((step) => step !== 1))
    throw new ZooError('unsupported-model', `${describe(node)} takes steps, which training doesn't cover`)
  const begin = value.tensor.shape.map(() => 0)
  const size = value.tensor.shape.slice()
  for (const [i, given] of axes.entries()) {
    const axis = axisIn(value, given)
    const length = value.tensor.shape[axis]!
    const bound = (at: number): number => Math.min(length, Math.max(0, at < 0 ? at + length : at))
    begin[axis] = bound(starts[i]!)
    size[axis] = Math.max(0, bound(ends[i]!) - begin[axis])
  }
  return { tensor: tf.slice(value.tensor, begin, size), layout: value.layout }
}

const split: Rule = ({ node, attributes, input, integers }) => {
  const value = input(0)
  const axis = axisIn(value, attributes.int('axis', 0))
  const length = value.tensor.shape[axis]!
  const count = node.outputs.length
  const even = Math.ceil(length / count)
  const sizes =
    integers(1) ?? node.outputs.map((_, i) => (i < count - 1 ? even : length - even * (count - 1)))
  const parts = tf.split(value.tensor, sizes, axis)
  return parts.map((tensor) => ({ tensor, layout: value.layout }))
}

/** Between float types nothing changes here: the engine computes in float32. */
const cast: Rule = ({ node, attributes, input }) => {
  const { tensor, layout } = input(0)
  const type = dataTypeFromCode(attributes.int('to', 1))
  if (type && isFloat(type)) return { tensor: tf.cast(tensor, 'float32'), layout }
  if (type === 'int32' || type === 'int64') return { tensor: tf.cast(tensor, 'int32'), layout }
  if (type === 'bool') return { tensor: tf.cast(tensor, 'bool'), layout }
  throw new ZooError('unsupported-model', `${describe(node)} casts to ${type}, which training doesn't cover`)
}

export const SHAPE: RuleTable = {
  Pad: pad,
  Slice: slice,
  Split: split,
  Cast: cast,
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Concat: concat,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
}
