import { type Dim, shown } from '../dims.ts'
import { cast } from './elementwise.ts'
import { type Lowering, unsupported } from './lowering.ts'
import type { Computed, Value } from './value.ts'

/** Which axis of an image holds its channels, as the model says it. */
export type Format = 'channels-last' | 'channels-first'

/** TensorFlow's `SAME` and `VALID`, or what to add before and after each spatial axis. */
export type Padding = 'same' | 'valid' | readonly (readonly [number, number])[]

/** An image, or a batch of vectors or volumes, as convolutions and pooling in ONNX take it: batch, channels, then space. */
export interface Image {
  readonly name: string
  readonly batch: Dim
  readonly channels: number
  readonly spatial: readonly number[]
}

/** Reads a value as an image, in floats. Its channels and spatial sizes must be known. */
export function asImage(l: Lowering, x: Value, format: Format): Image {
  const [batch, ...rest] = x.dims
  const channels = format === 'channels-last' ? rest.at(-1) : rest[0]
  const spatial = format === 'channels-last' ? rest.slice(0, -1) : rest.slice(1)
  if (
    batch === undefined ||
    typeof channels !== 'number' ||
    !spatial.every((size) => typeof size === 'number')
  )
    throw unsupported(`${shown(x.dims)} is no image of known size`)
  const layout = format === 'channels-last' ? 'channels-first' : 'as-is'
  return { name: l.name(cast(l, x, 'float32'), layout), batch, channels, spatial: spatial as number[] }
}

/** A value that holds an image in ONNX's order. */
export function ofImage(l: Lowering, image: Image, format: Format): Computed {
  const { name, batch, channels, spatial } = image
  return format === 'channels-last'
    ? l.computed(name, 'float32', [batch, ...spatial, channels], 'channels-first')
    : l.computed(name, 'float32', [batch, channels, ...spatial])
}

/** A window that slides over one axis. */
export interface Window {
  readonly size: number
  readonly stride: number
  readonly dilation: number
}

/**
 * What each axis is padded with and how long the result is. `SAME` gives ceil(length / stride) positions and puts
 * the odd element of the padding behind (TensorFlow, `nn.convolution`), which ONNX's symmetric pads cannot say.
 */
export function slide(
  lengths: readonly number[],
  windows: readonly Window[],
  padding: Padding,
): { pads: (readonly [number, number])[]; lengths: number[] } {
  const pads = lengths.map((length, axis): readonly [number, number] => {
    if (padding === 'valid') return [0, 0]
    if (padding !== 'same') return padding[axis]!
    const { stride } = windows[axis]!
    const total = Math.max((Math.ceil(length / stride) - 1) * stride + extent(windows[axis]!) - length, 0)
    return [Math.floor(total / 2), Math.ceil(total / 2)]
  })
  const result = lengths.map((length, axis) => {
    const free = length + pads[axis]![0] + pads[axis]![1] - extent(windows[axis]!)
    if (free < 0)
      throw unsupported(`a window of ${extent(windows[axis]!)} does not fit into a length of ${length}`)
    return Math.floor(free / windows[axis]!.stride) + 1
  })
  return { pads, lengths: result }
}

/** Elements between the first and the last that a window touches, both counted. */
export const extent = ({ size, dilation }: Window): number => (size - 1) * dilation + 1

/** ONNX's order: all befores, then all afters. */
export const flat = (pads: readonly (readonly [number, number])[]): number[] => [
  ...pads.map(([before]) => before),
  ...pads.map(([, after]) => after),
]

/** The value before its zero padding, and that padding of the spatial axes, if that is all that was padded. */
export function unpadded(
  l: Lowering,
  x: Value,
  format: Format,
): { source: Value; pads: readonly (readonly [number, number])[] } {
  const padded = x.kind === 'computed' ? l.padded.get(x.name) : undefined
  const channels = format === 'channels-last' ? x.dims.length - 1 : 1
  const isSpace = (_: unknown, axis: number): boolean => axis !== 0 && axis !== channels
  const others = padded?.pads.filter((pads, axis) => !isSpace(pads, axis)).flat()
  if (!padded || others?.some((count) => count !== 0))
    return { source: x, pads: x.dims.filter(isSpace).map(() => [0, 0]) }
  return { source: padded.source, pads: padded.pads.filter(isSpace) }
}
