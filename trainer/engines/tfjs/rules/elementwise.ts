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

const hardSigmoid = (x: tf.Tensor, alpha: number, beta: number): tf.Tensor =>
  tf.clipByValue(tf.add(tf.mul(x, alpha), beta), 0, 1)

const sloped: Rule = ({ input }) => {
  const { tensors, layout } = aligned([input(0), input(1)])
  const [x, slope] = tensors as [tf.Tensor, tf.Tensor]
  return { tensor: tf.sub(relu(x), tf.mul(slope, relu(tf.neg(x)))), layout }
}

/** x · Φ(x), by the error function or by its tanh approximation (Hendrycks & Gimpel 2016). */
const gelu: Rule = ({ input, attributes }) => {
  const { tensor: x, layout } = input(0)
  const inner =
    attributes.string('approximate', 'none') === 'tanh'
      ? tf.tanh(tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.pow(x, 3)))))
      : tf.erf(tf.mul(x, Math.SQRT1_2))
  return { tensor: tf.mul(tf.mul(x, 0.5), tf.add(inner, 1)), layout }
}

/** Any number of operands. */
const sum: Rule = ({ count, input }) => {
  const { tensors, layout } = aligned(Array.from({ length: count }, (_, i) => input(i)))
  return { tensor: tensors.length === 1 ? tf.clone(tensors[0]!) : tensors.reduce(add), layout }
}

const withAlpha =
  (compute: (x: tf.Tensor, alpha: number, beta: number) => tf.Tensor, alpha: number, beta = 0): Rule =>
  ({ input, attributes }) => {
    const { tensor, layout } = input(0)
    return {
      tensor: compute(tensor, attributes.float('alpha', alpha), attributes.float('beta', beta)),
      layout,
    }
  }

const elu = (x: tf.Tensor, alpha: number): tf.Tensor =>
  tf.add(relu(x), tf.mul(alpha, tf.sub(tf.exp(tf.minimum(x, 0)), 1)))

const leakyRelu: Rule = ({ input, attributes }) => {
  const { tensor, layout } = input(0)
  return { tensor: tf.leakyRelu(tensor, attributes.float('alpha', 0.01)), layout }
}

export const ELEMENTWISE: RuleTable = {
  Add: binary(add),
  Sum: sum,
  Sub: binary(tf.sub),
  Mul: binary(tf.mul),
  Div: binary(tf.div),
  Pow: binary(tf.pow),
  Max: binary(tf.maximum),
  Min: binary(tf.minimum),
  Relu: unary(relu),
  LeakyRelu: leakyRelu,
  PRelu: sloped,
  Elu: withAlpha(elu, 1),
  HardSigmoid: withAlpha(hardSigmoid, 0.2, 0.5),
  HardSwish: unary((x) => tf.mul(x, hardSigmoid(x, 1 / 6, 0.5))),
  Gelu: gelu,
  Erf: unary(tf.erf),
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
