import { float } from '../../onnx/builder.ts'
import { clip, combine, unary } from './elementwise.ts'
import type { Lowering } from './lowering.ts'
import { type Computed, layoutOf, scalar, storedAxis, type Value } from './value.ts'

type Activation = (l: Lowering, x: Value) => Value

const simple =
  (opType: string): Activation =>
  (l, x) =>
    unary(l, opType, x)

const mul = (l: Lowering, a: Value, b: Value): Computed => combine(l, 'Mul', [a, b])
const add = (l: Lowering, a: Value, b: Value): Computed => combine(l, 'Add', [a, b])

/** Every activation that tfjs knows, by its name in lower case without underscores. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  linear: (_, x) => x,
  relu: simple('Relu'),
  relu6: (l, x) => clip(l, x, 0, 6),
  elu: simple('Elu'),
  selu: simple('Selu'),
  sigmoid: simple('Sigmoid'),
  hardsigmoid: (l, x) => unary(l, 'HardSigmoid', x, { alpha: float(0.2), beta: float(0.5) }),
  softplus: simple('Softplus'),
  softsign: simple('Softsign'),
  tanh: simple('Tanh'),
  softmax: (l, x) => softmax(l, 'Softmax', x, x.dims.length - 1),
  logsoftmax: (l, x) => softmax(l, 'LogSoftmax', x, x.dims.length - 1),
  gelu: (l, x) => {
    const cdf = add(l, unary(l, 'Erf', mul(l, x, scalar(Math.SQRT1_2))), scalar(1))
    return mul(l, mul(l, x, scalar(0.5)), cdf)
  },
  /** The tanh approximation (Hendrycks & Gimpel 2016, section 2). */
  gelunew: (l, x) => {
    const cubic = mul(l, mul(l, mul(l, x, x), x), scalar(0.044715))
    const inner = mul(l, add(l, x, cubic), scalar(Math.sqrt(2 / Math.PI)))
    return mul(l, mul(l, x, scalar(0.5)), add(l, unary(l, 'Tanh', inner), scalar(1)))
  },
  mish: (l, x) => mul(l, x, unary(l, 'Tanh', unary(l, 'Softplus', x))),
  swish: (l, x) => mul(l, x, unary(l, 'Sigmoid', x)),
}

/** The activation of that name, however it is spelt (`hard_sigmoid`, `hardSigmoid`); undefined where tfjs has none. */
export const activationNamed = (name: string): Activation | undefined =>
  Object.hasOwn(ACTIVATIONS, plain(name)) ? ACTIVATIONS[plain(name)] : undefined

const plain = (name: string): string => name.replaceAll('_', '').toLowerCase()

/** Softmax or LogSoftmax along one axis as tfjs counts it. */
export function softmax(l: Lowering, opType: 'Softmax' | 'LogSoftmax', x: Value, axis: number): Computed {
  const stored = storedAxis(axis, x.dims.length, layoutOf(x))
  // -1 where it means the same: readers of classifiers look for it.
  return unary(l, opType, x, { axis: stored === x.dims.length - 1 ? -1 : stored })
}

export const leakyRelu = (l: Lowering, x: Value, alpha: number): Computed =>
  unary(l, 'LeakyRelu', x, { alpha: float(alpha) })

export const prelu = (l: Lowering, x: Value, slope: Value): Computed => combine(l, 'PRelu', [x, slope])
