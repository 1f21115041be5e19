import { axisOf } from '../dims.ts'
import { combine } from '../lowering/elementwise.ts'
import { type Lowering, unsupported } from '../lowering/lowering.ts'
import { batchNormalisation, layerNormalisation } from '../lowering/normalisation.ts'
import { filled } from '../lowering/shape.ts'
import { scalar, type Value } from '../lowering/value.ts'
import type { LayerTable } from './rule.ts'

export const NORMALISATION: LayerTable = {
  BatchNormalization({ l, x, config, weight }) {
    const rank = x.dims.length
    const axis = axisOf(singleAxis(config.get('axis') ?? -1), rank)
    if (axis !== rank - 1 && axis !== 1) throw unsupported(`normalisation along axis ${axis} of ${rank}`)
    const channels = [x.dims[axis] as number]
    const statistics = {
      scale: config.boolean('scale', true) ? weight('gamma') : filled(channels, 1),
      offset: config.boolean('center', true) ? weight('beta') : filled(channels, 0),
      mean: weight('moving_mean'),
      variance: weight('moving_variance'),
      epsilon: config.number('epsilon', 1e-3),
    }
    return batchNormalisation(l, x, statistics, axis === rank - 1 ? 'channels-last' : 'channels-first')
  },
  LayerNormalization({ l, x, config, weight }) {
    const rank = x.dims.length
    const named = config.get('axis') ?? -1
    const axes = (Array.isArray(named) ? named : [named]).map((axis) => axisOf(Number(axis), rank)).sort()
    if (axes.some((axis, i) => axis !== rank - axes.length + i))
      throw unsupported(`normalisation along axes ${axes} of ${rank}`)
    const scale = config.boolean('scale', true)
      ? weight('gamma')
      : filled(x.dims.slice(axes[0]) as number[], 1)
    return layerNormalisation(l, x, {
      axis: axes[0]! - rank,
      scale,
      ...(config.boolean('center', true) && { offset: weight('beta') }),
      epsilon: config.number('epsilon', 1e-3),
    })
  },
  Rescaling: ({ l, x, config }) => rescaled(l, x, config.number('scale'), config.number('offset', 0)),
}

/** Keras writes the axis of a batch normalisation as a number or as a list of one. */
const singleAxis = (axis: unknown): number => {
  const [only, ...others] = Array.isArray(axis) ? axis : [axis]
  if (typeof only !== 'number' || others.length > 0)
    throw unsupported(`normalisation along ${JSON.stringify(axis)}`)
  return only
}

function rescaled(l: Lowering, x: Value, scale: number, offset: number): Value {
  const scaled = combine(l, 'Mul', [x, scalar(scale)])
  return offset === 0 ? scaled : combine(l, 'Add', [scaled, scalar(offset)])
}
