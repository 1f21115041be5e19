import type { Lowering } from './lowering.ts'
import { pad } from './slice.ts'
import type { Computed, Value } from './value.ts'
import { asImage, type Format, flat, ofImage, type Padding, slide } from './window.ts'

export interface PoolingOptions {
  /** One per spatial axis, as are the strides. */
  readonly window: readonly number[]
  readonly strides: readonly number[]
  readonly padding: Padding
  readonly format: Format
}

/** The largest or the average of every window. Padding counts neither as a maximum nor in an average. */
export function pool(l: Lowering, kind: 'max' | 'average', x: Value, options: PoolingOptions): Computed {
  const { window, strides, padding, format } = options
  const image = asImage(l, kind === 'max' ? paddedForMaximum(l, x) : x, format)
  const windows = window.map((size, axis) => ({ size, stride: strides[axis]!, dilation: 1 }))
  const { pads, lengths } = slide(image.spatial, windows, padding)
  const name = l.op(kind === 'max' ? 'MaxPool' : 'AveragePool', [image.name], {
    kernel_shape: window,
    strides,
    pads: flat(pads),
  })
  return ofImage(l, { ...image, name, spatial: lengths }, format)
}

/** The smallest float32 above 0 that every runtime keeps. */
const ALMOST_ZERO = 2 ** -126

/**
 * The same value with its zero padding written so that it stays: onnxruntime (1.30) merges zeros with the MaxPool that
 * reads them into padding that counts for nothing, and gives the largest of a window's negative numbers instead of 0.
 */
function paddedForMaximum(l: Lowering, x: Value): Value {
  const padded = x.kind === 'computed' ? l.padded.get(x.name) : undefined
  return padded ? pad(l, padded.source, padded.pads, 'constant', ALMOST_ZERO) : x
}
