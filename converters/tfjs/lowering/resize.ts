import { type Lowering, unsupported } from './lowering.ts'
import type { Computed, Value } from './value.ts'
import { asImage, type Format, ofImage } from './window.ts'

export interface ResizeOptions {
  readonly method: 'nearest' | 'bilinear'
  /** Height and width of the result. */
  readonly size: readonly [number, number]
  readonly alignCorners: boolean
  readonly halfPixelCenters: boolean
  readonly format: Format
}

/**
 * TensorFlow's resizing. Pixel i of the result is read at i * in / out; with half-pixel centres at
 * (i + 0.5) * in / out - 0.5; with aligned corners at i * (in - 1) / (out - 1). Nearest takes the floor of that
 * place, or with aligned corners rounds halves up, or with half-pixel centres takes the floor of it plus a half.
 */
export function resize(l: Lowering, x: Value, options: ResizeOptions): Computed {
  const { method, size, alignCorners, halfPixelCenters, format } = options
  const image = asImage(l, x, format)
  if (image.spatial.length !== 2) throw unsupported('only images can be resized')
  const factors = size.map((length, axis) => length / image.spatial[axis]!)
  const whole = factors.every(Number.isInteger)
  const name = l.op(
    'Resize',
    whole
      ? [image.name, '', l.builder.constant('float32', [4], [1, 1, ...factors])]
      : [image.name, '', '', l.builder.int64s(size)],
    {
      mode: method === 'nearest' ? 'nearest' : 'linear',
      coordinate_transformation_mode: alignCorners
        ? 'align_corners'
        : halfPixelCenters
          ? 'half_pixel'
          : 'asymmetric',
      ...(method === 'nearest'
        ? { nearest_mode: alignCorners || halfPixelCenters ? 'round_prefer_ceil' : 'floor' }
        : {}),
      ...(whole ? {} : { axes: [2, 3] }),
    },
  )
  return ofImage(l, { ...image, name, spatial: size }, format)
}

/** Channels in groups of `block` x `block` become pixels (TensorFlow's order: the group varies slowest). */
export function depthToSpace(l: Lowering, x: Value, block: number): Computed {
  const image = asImage(l, x, 'channels-last')
  const name = l.op('DepthToSpace', [image.name], { blocksize: block, mode: 'DCR' })
  return ofImage(
    l,
    { ...image, name, channels: image.channels / block ** 2, spatial: image.spatial.map((n) => n * block) },
    'channels-last',
  )
}
