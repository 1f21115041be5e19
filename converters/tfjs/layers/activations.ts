import { axisOf } from '../dims.ts'
import { activationNamed, leakyRelu, prelu, softmax } from '../lowering/activation.ts'
import { cast, clip, combine, unary } from '../lowering/elementwise.ts'
import { type Lowering, unsupported } from '../lowering/lowering.ts'
import { scalar, type Value } from '../lowering/value.ts'
import type { Config } from './config.ts'
import type { LayerTable } from './rule.ts'

/** Applies the activation that a layer names in its configuration, if it does. */
export function activated(l: Lowering, x: Value, config: Config): Value {
  const named = config.get('activation') ?? 'linear'
  const activation = typeof named === 'string' ? activationNamed(named) : undefined
  if (activation === undefined) throw unsupported(`activation ${JSON.stringify(named)}`)
  return activation(l, x)
}

/** Layers that are one activation. */
export const ACTIVATIONS: LayerTable = {
  Activation: ({ l, x, config }) => activated(l, x, config),
  ReLU({ l, x, config }) {
    config.refuse('negative_slope', [0])
    config.refuse('threshold', [0])
    const limit = config.get('max_value')
    return limit === undefined ? unary(l, 'Relu', x) : clip(l, x, 0, config.number('max_value'))
  },
  LeakyReLU: ({ l, x, config }) => leakyRelu(l, x, config.number('alpha', 0.3)),
  PReLU: ({ l, x, weight }) => prelu(l, x, weight('alpha')),
  ELU({ l, x, config }) {
    if (config.number('alpha', 1) !== 1)
      throw unsupported(`alpha = ${config.number('alpha')}, which tfjs refuses`)
    return unary(l, 'Elu', x)
  },
  ThresholdedReLU({ l, x, config }) {
    const over = combine(l, 'Greater', [x, scalar(config.number('theta', 1))], 'bool')
    return combine(l, 'Mul', [x, cast(l, over, 'float32')])
  },
  Softmax: ({ l, x, config }) => softmax(l, 'Softmax', x, axisOf(config.number('axis', 1), x.dims.length)),
}
