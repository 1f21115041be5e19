import { product, range } from '../dims.ts'
import { unsupported } from '../lowering/lowering.ts'
import { matMul } from '../lowering/matrix.ts'
import { resize } from '../lowering/resize.ts'
import { expandDims, reshape, tile, transpose } from '../lowering/shape.ts'
import { pad, slice } from '../lowering/slice.ts'
import { asImage } from '../lowering/window.ts'
import { activated } from './activations.ts'
import type { LayerRule, LayerTable } from './rule.ts'

/** Layers that act in training only. */
const inactive: LayerRule = ({ x }) => x

export const CORE: LayerTable = {
  Dropout: inactive,
  SpatialDropout1D: inactive,
  GaussianNoise: inactive,
  GaussianDropout: inactive,
  AlphaDropout: inactive,
  Dense({ l, x, config, weight }) {
    const bias = config.boolean('use_bias', true) ? weight('bias') : undefined
    return activated(l, matMul(l, x, weight('kernel'), { bias }), config)
  },
  Flatten({ l, x, config }) {
    const rank = x.dims.length
    const last = config.format === 'channels-last' || rank < 3
    const ordered = last ? x : transpose(l, x, [0, ...range(rank - 2, 2), 1])
    return reshape(l, ordered, [x.dims[0]!, product(x.dims.slice(1))!])
  },
  Reshape({ l, x, config }) {
    const target = config.get('target_shape')
    if (!Array.isArray(target)) throw unsupported('a Reshape without a target')
    const dims = target.map((dim: unknown) => (typeof dim === 'number' && dim >= 0 ? dim : -1))
    return reshape(l, x, [x.dims[0]!, ...dims])
  },
  Permute({ l, x, config }) {
    const axes = config.numbers('dims', x.dims.length - 1)
    return transpose(l, x, [0, ...axes])
  },
  RepeatVector: ({ l, x, config }) => tile(l, expandDims(l, x, [1]), [1, config.number('n'), 1]),
}

/** Layers that cut, enlarge or frame images. */
export const SPACE: LayerTable = {
  ZeroPadding2D({ l, x, config }) {
    const none: [number, number] = [0, 0]
    const space = config.pairs('padding', 1)
    return pad(l, x, config.format === 'channels-last' ? [none, ...space, none] : [none, none, ...space])
  },
  Cropping2D({ l, x, config }) {
    const first = config.format === 'channels-last' ? 1 : 2
    const cuts = config.pairs('cropping', 0).map(([before, after], i) => {
      const axis = first + i
      return { axis, begin: before, size: (x.dims[axis] as number) - before - after, step: 1 }
    })
    return slice(l, x, cuts)
  },
  UpSampling2D({ l, x, config }) {
    const factors = config.numbers('size', 2, [2, 2])
    const { spatial } = asImage(l, x, config.format)
    const method = config.string('interpolation', 'nearest')
    if (method !== 'nearest' && method !== 'bilinear') throw unsupported(`interpolation ${method}`)
    return resize(l, x, {
      method,
      size: [spatial[0]! * factors[0]!, spatial[1]! * factors[1]!],
      alignCorners: false,
      halfPixelCenters: false,
      format: config.format,
    })
  },
}
