import { float } from '../../onnx/builder.ts'
import type { Lowering } from './lowering.ts'
import type { Computed, Value } from './value.ts'
import { asImage, type Format, ofImage } from './window.ts'

/** Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3), `radius` channels to either side. */
export function localResponse(
  l: Lowering,
  x: Value,
  { radius, bias, alpha, beta }: { radius: number; bias: number; alpha: number; beta: number },
): Computed {
  const image = asImage(l, x, 'channels-last')
  const size = 2 * radius + 1
  const name = l.op('LRN', [image.name], {
    size,
    bias: float(bias),
    // ONNX divides alpha by the window's size, TensorFlow doesn't.
    alpha: float(alpha * size),
    beta: float(beta),
  })
  return ofImage(l, { ...image, name }, 'channels-last')
}

export interface BatchNormalisation {
  /** One number per channel each. */
  readonly scale: Value
  readonly offset: Value
  readonly mean: Value
  readonly variance: Value
  readonly epsilon: number
}

/** (x - mean) / sqrt(variance + epsilon) * scale + offset, with statistics that stay as they are. */
export function batchNormalisation(
  l: Lowering,
  x: Value,
  { scale, offset, mean, variance, epsilon }: BatchNormalisation,
  format: Format,
): Computed {
  const layout = format === 'channels-last' && x.dims.length > 2 ? 'channels-first' : 'as-is'
  const inputs = [l.name(x, layout), ...[scale, offset, mean, variance].map((value) => l.name(value))]
  const name = l.op('BatchNormalization', inputs, { epsilon: float(epsilon) })
  return l.computed(name, x.dtype, x.dims, layout)
}

/** Normalises over the last axes, from `axis` on. */
export function layerNormalisation(
  l: Lowering,
  x: Value,
  { axis, scale, offset, epsilon }: { axis: number; scale: Value; offset?: Value; epsilon: number },
): Computed {
  const inputs = [x, scale, ...(offset ? [offset] : [])].map((value) => l.name(value))
  return l.computed(l.op('LayerNormalization', inputs, { axis, epsilon: float(epsilon) }), x.dtype, x.dims)
}
