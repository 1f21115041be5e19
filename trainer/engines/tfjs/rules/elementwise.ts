import * as tf from '@tensorflow/tfjs'
import { withGradient } from '../custom-gradient.ts'
import type { Rule, RuleTable } from '../rule.ts'
import { aligned } from '../value.ts'

const unary =
  (compute: (x: tf.Tensor) => tf.Tensor): Rule =>
  ({ input }) => {
    const { tensor, layout } = input(0)
    return { tensor: compute(tensor), layout }
  }

const binary =
  (compute: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor): Rule =>
  ({ input }) => {
    const { tensors, layout } = aligned([input(0), input(1)])
    return { tensor: compute(tensors[0]!, tensors[1]!), layout }
  }

/** Saves its output rather than its input, which is then free to go. The derivative at 0 is 0. */
const relu = (x: tf.Tensor): tf.Tensor =>
  withGradient([x], (input) => {
    const y = tf.relu(input)
    return { value: y, saved: [y], gradient: (dy, [y]) => [tf.mul(dy, tf.step(y!))] }
  })

/** Of equal shapes, as in a residual sum, it saves nothing: tfjs's own would keep both operands for their shapes. */
const add = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
  tf.util.arraysEqual(a.shape, b.shape)
    ? withGradient([a, b], (a, b) => ({
        value: tf.add(a, b),
        saved: [],
        gradient: (dy) => [tf.clone(dy), tf.clone(dy)],
      }))
    : tf.add(a, b)

const clip: Rule = ({ input, optional }) => {
  const { tensor, layout } = input(0)
  const bound = (index: number, fallback: number): number => optional(index)?.tensor.dataSync()[0] ?? fallback
  return { tensor: tf.clipByValue(tensor, bound(1, -3.4e38), bound(2, 3.4e38)), layout }
}

const leakyRelu: Rule = ({ input, attributes }) => {
  const { tensor, layout } = input(0)
  return { tensor: tf.leakyRelu(tensor, attributes.float('alpha', 0.01)), layout }
}

export const ELEMENTWISE: RuleTable = {
  Add: binary(add),
  Sub: binary(tf.sub),
  Mul: binary(tf.mul),
  Div: binary(tf.div),
  Pow: binary(tf.pow),
  Max: binary(tf.maximum),
  Min: binary(tf.minimum),
  Relu: unary(relu),
  LeakyRelu: leakyRelu,
  Clip: clip,
  Sigmoid: unary(tf.sigmoid),
  Softplus: unary(tf.softplus),
  Tanh: unary(tf.tanh),
  Exp: unary(tf.exp),
  Log: unary(tf.log),
  Sqrt: unary(tf.sqrt),
  Reciprocal: unary(tf.reciprocal),
  Neg: unary(tf.neg),
  Abs: unary(tf.abs),
  Identity: unary(tf.clone),
  Dropout: unary(tf.clone),
}
