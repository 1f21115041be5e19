import { type Lowering, unsupported } from './lowering.ts'
import type { Computed, Value } from './value.ts'
import { asImage, type Format, type Image, ofImage } from './window.ts'

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
 * (i + 0.5) * in / out - 0.5; with aligned corners at i * (in - 1) / (out - 1).
 */
export function resize(l: Lowering, x: Value, options: ResizeOptions): Computed {
  const { method, size, format } = options
  const image = asImage(l, x, format)
  if (image.spatial.length !== 2) throw unsupported('only images can be resized')
  const name = method === 'nearest' ? nearest(l, image, options) : bilinear(l, image, options)
  return ofImage(l, { ...image, name, spatial: size }, format)
}

function bilinear(
  l: Lowering,
  image: Image,
  { size, alignCorners, halfPixelCenters }: ResizeOptions,
): string {
  const scales = size.map((length, axis) => scale(image.spatial[axis]!, length))
  return l.op('Resize', [image.name, '', l.builder.constant('float32', [4], [1, 1, ...scales])], {
    mode: 'linear',
    coordinate_transformation_mode: alignCorners
      ? 'align_corners'
      : halfPixelCenters
        ? 'half_pixel'
        : 'asymmetric',
  })
}

/**
 * The factor by which one length becomes another when the runtime multiplies in float32 and drops the fraction.
 * (Sizes would say it directly, but onnxruntime 1.30 loses them when it moves a transpose across a Resize.)
 */
function scale(from: number, to: number): number {
  const exact = Math.fround(to / from)
  return Math.floor(Math.fround(from * exact)) >= to ? exact : Math.fround(exact * (1 + 2 ** -23))
}

/**
 * Repeats pixels where the factors are whole. Elsewhere rows and columns are picked by their numbers: a place such as
 * 3 * 20 / 12 falls on a pixel's edge, and a runtime that computes it in float32 takes the pixel before.
 */
function nearest(l: Lowering, image: Image, options: ResizeOptions): string {
  const { size, alignCorners, halfPixelCenters } = options
  const factors = size.map((length, axis) => length / image.spatial[axis]!)
  if (factors.every(Number.isInteger) && !alignCorners && !halfPixelCenters)
    return l.op('Resize', [image.name, '', l.builder.constant('float32', [4], [1, 1, ...factors])], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    })
  return size.reduce((name, length, i) => {
    const picked = places(image.spatial[i]!, length, options)
    return l.op('Gather', [name, l.builder.int64s(picked)], { axis: i + 2 })
  }, image.name)
}

/** The pixel that each one of the result repeats, as tfjs computes it. */
function places(from: number, to: number, { alignCorners, halfPixelCenters }: ResizeOptions): number[] {
  const ratio = alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to
  return Array.from({ length: to }, (_, i) => {
    const place = ratio * (halfPixelCenters ? i + 0.5 : i)
    return Math.min(alignCorners ? Math.round(place) : Math.floor(place), from - 1)
  })
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
