import { float } from '../../builder.ts'
import { STEEP } from '../blocked.ts'
import type { Emitter } from '../emitter.ts'
import { broadcasting, type Call, noGradient, type RuleTable, rule, unary } from '../rule.ts'
import { range } from '../sizes.ts'

/** Activation functions. Those with a kink at 0 take the slope from the left there, so Relu's is 0 at 0. */
export const activations: RuleTable = {
  Relu: unary((op, dy, _x, y, call) => op.mul(dy, call.formulations.step(op, y))),
  LeakyRelu: unary((op, dy, x, _y, { attributes, formulations }) => {
    const alpha = attributes.float('alpha', 0.01)
    const positive = formulations.step(op, x)
    const slope =
      alpha >= 0 && alpha <= 1
        ? formulations.ramp(op, positive, 1 - alpha, alpha)
        : op.shift(op.scale(positive, 1 - alpha), alpha)
    return op.mul(dy, slope)
  }),
  PRelu: broadcasting(({ op, dy, x: [x, slope] }) => {
    const positive = () => op.op('Greater', [x!, op.scalar(0)])
    return [
      () => op.mul(dy, op.where(positive(), op.scalar(1), slope!)),
      () => op.where(positive(), op.scalar(0), op.mul(dy, x!)),
    ]
  }),
  ThresholdedRelu: unary((op, dy, x, _y, { attributes, formulations }) =>
    op.mul(dy, formulations.step(op, op.shift(x, -attributes.float('alpha', 1)))),
  ),
  Clip: rule(clip),

  /** alpha exp(x) = y + alpha below 0. */
  Elu: unary((op, dy, x, y, { attributes }) =>
    op.mul(dy, op.where(positive(op, x), op.scalar(1), op.shift(y, attributes.float('alpha', 1)))),
  ),
  Selu: unary((op, dy, x, y, { attributes }) => {
    const alpha = attributes.float('alpha', 1.6732632423543772)
    const gamma = attributes.float('gamma', 1.0507009873554805)
    return op.mul(dy, op.where(positive(op, x), op.scalar(gamma), op.shift(y, gamma * alpha)))
  }),
  /** exp(x / alpha) = y / alpha + 1 below 0. */
  Celu: unary((op, dy, x, y, { attributes }) =>
    op.mul(
      dy,
      op.where(positive(op, x), op.scalar(1), op.shift(op.scale(y, 1 / attributes.float('alpha', 1)), 1)),
    ),
  ),
  Shrink: unary((op, dy, x, _y, { attributes, formulations }) =>
    op.mul(dy, formulations.step(op, op.shift(op.op('Abs', [x]), -attributes.float('lambd', 0.5)))),
  ),

  Sigmoid: unary((op, dy, _x, y, { formulations }) => op.mul(dy, op.mul(y, formulations.ramp(op, y, -1, 1)))),
  HardSigmoid: rule((call) => {
    const { op, dy, y, attributes } = call
    const alpha = attributes.float('alpha', 0.2)
    if (Math.abs(alpha) >= STEEP) return [null]
    const slope = (mask: string): string =>
      alpha > 0 && alpha <= 1 ? call.formulations.ramp(op, mask, alpha, 0) : op.scale(mask, alpha)
    return [() => op.mul(dy, slope(inside(call, y)))]
  }),
  /** x max(0, min(1, x / 6 + 1/2)). */
  HardSwish: unary((op, dy, x, _y, call) => {
    const gate = op.op('HardSigmoid', [x], { alpha: float(1 / 6), beta: float(0.5) })
    const sixth = call.formulations.ramp(op, inside(call, gate), 1 / 6, 0)
    return op.mul(dy, op.add(gate, op.mul(x, sixth)))
  }),
  /** Written with exp(x - y), which stays accurate where sigmoid(x) rounds to 0. */
  Softplus: unary((op, dy, x, y) => op.mul(dy, op.exp(op.sub(x, y)))),
  Softsign: unary((op, dy, x) => op.div(dy, op.square(op.shift(op.op('Abs', [x]), 1)))),
  /** x tanh(softplus(x)). */
  Mish: unary((op, dy, x) => {
    const t = op.op('Tanh', [op.op('Softplus', [x])])
    const slope = op.mul(op.mul(x, op.op('Sigmoid', [x])), op.sub(op.scalar(1), op.square(t)))
    return op.mul(dy, op.add(t, slope))
  }),
  /** x sigmoid(alpha x). */
  Swish: unary((op, dy, x, y, { attributes }) => {
    const alpha = attributes.float('alpha', 1)
    const s = op.op('Sigmoid', [op.scale(x, alpha)])
    return op.mul(dy, op.add(s, op.scale(op.mul(y, op.sub(op.scalar(1), s)), alpha)))
  }),
  Gelu: unary((op, dy, x, _y, { attributes }) =>
    op.mul(dy, attributes.string('approximate', 'none') === 'tanh' ? tanhGelu(op, x) : gelu(op, x)),
  ),

  Hardmax: noGradient('constant but for steps'),
}

const positive = (op: Emitter, x: string): string => op.op('Greater', [x, op.scalar(0)])

/** 1 where 0 < value < 1, else 0. */
const inside = ({ op, formulations }: Call, value: string): string =>
  formulations.step(op, op.mul(value, formulations.ramp(op, value, -1, 1)))

/** Phi(x) + x phi(x), the normal distribution and its density. */
function gelu(op: Emitter, x: string): string {
  const phi = op.scale(op.exp(op.scale(op.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI))
  const erf = op.op('Erf', [op.scale(x, Math.SQRT1_2)])
  return op.add(op.scale(op.shift(erf, 1), 0.5), op.mul(x, phi))
}

/** y = x / 2 (1 + t), t = tanh(u), u = sqrt(2 / pi) (x + 0.044715 x^3). */
function tanhGelu(op: Emitter, x: string): string {
  const c = Math.sqrt(2 / Math.PI)
  const square = op.square(x)
  const u = op.scale(op.mul(x, op.shift(op.scale(square, 0.044715), 1)), c)
  const t = op.op('Tanh', [u])
  const du = op.scale(op.shift(op.scale(square, 3 * 0.044715), 1), c)
  const slope = op.mul(op.mul(x, du), op.sub(op.scalar(1), op.square(t)))
  return op.scale(op.add(op.shift(t, 1), slope), 0.5)
}

/**
 * At the edges the gradient passes, as in PyTorch's clamp; a bound receives it where it cuts. But a Clip that is a
 * convolution's activation is ReLU6 or its like, whose gradient PyTorch and TensorFlow take as 0 at the edges: that
 * can be told from its output, so that onnxruntime still fuses it with the convolution.
 */
function clip(call: Call) {
  const {
    op,
    dy,
    x: [x, low, high],
    y,
    facts,
    formulations,
  } = call
  const below = () => formulations.step(op, op.sub(low!, x!))
  const above = () => formulations.step(op, op.sub(x!, high!))
  const all = range(facts.sizes(x!).length)
  const clamp = (): string => {
    const bounds = [...(low ? [below] : []), ...(high ? [above] : [])]
    return bounds.reduce((gradient, outside) => op.mul(gradient, op.sub(op.scalar(1), outside())), dy)
  }
  const relu6 = (): string => {
    const bound = (value: string | undefined, none: number): number =>
      value ? facts.constant(value)!.numbers[0]! : none
    const [least, most] = [bound(low, Number.NEGATIVE_INFINITY), bound(high, Number.POSITIVE_INFINITY)]
    return op.mul(dy, formulations.between(op, y, least, most))
  }
  return [
    call.producer(x!)?.opType === 'Conv' && constantBounds(call) ? relu6 : clamp,
    () => op.sum(op.mul(dy, below()), all, false),
    () => op.sum(op.mul(dy, above()), all, false),
  ]
}

const constantBounds = ({ x: [, ...bounds], facts }: Call): boolean =>
  bounds.some(Boolean) && bounds.every((bound) => bound === '' || facts.constant(bound) !== undefined)
