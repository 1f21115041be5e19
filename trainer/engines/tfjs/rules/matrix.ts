import * as tf from '@tensorflow/tfjs'
import type { Rule, RuleTable } from '../rule.ts'
import { axisIn, inOnnx, toOnnx } from '../value.ts'

const gemm: Rule = ({ attributes, input, optional }) => {
  const [a, b] = [toOnnx(input(0)) as tf.Tensor2D, toOnnx(input(1)) as tf.Tensor2D]
  const product = tf.matMul(a, b, attributes.int('transA', 0) !== 0, attributes.int('transB', 0) !== 0)
  const scaled = times(product, attributes.float('alpha', 1))
  const c = optional(2)
  return inOnnx(c ? tf.add(scaled, times(toOnnx(c), attributes.float('beta', 1))) : scaled)
}

const times = (x: tf.Tensor, factor: number): tf.Tensor => (factor === 1 ? x : tf.mul(x, factor))

const matMul: Rule = ({ input }) => inOnnx(tf.matMul(toOnnx(input(0)), toOnnx(input(1))))

/** tfjs takes these along the last axis only. */
const alongAxis =
  (compute: (x: tf.Tensor) => tf.Tensor): Rule =>
  ({ attributes, input }) => {
    const value = input(0)
    const axis = axisIn(value, attributes.int('axis', -1))
    const last = value.tensor.rank - 1
    if (axis === last) return { tensor: compute(value.tensor), layout: value.layout }
    const order = value.tensor.shape.map((_, i) => i)
    ;[order[axis], order[last]] = [last, axis]
    return {
      tensor: tf.transpose(compute(tf.transpose(value.tensor, order)), order),
      layout: value.layout,
    }
  }

export const MATRIX: RuleTable = {
  Gemm: gemm,
  MatMul: matMul,
  Softmax: alongAxis((x) => tf.softmax(x)),
  LogSoftmax: alongAxis((x) => tf.logSoftmax(x)),
}
