import * as tf from '@tensorflow/tfjs'
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

export const SHAPE: RuleTable = {
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Concat: concat,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
}
