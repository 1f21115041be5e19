import { range } from '../dims.ts'
import { type Lowering, unsupported } from './lowering.ts'
import type { Computed, Value } from './value.ts'
import {
  asImage,
  extent,
  type Format,
  flat,
  ofImage,
  type Padding,
  slide,
  unpadded,
  type Window,
} from './window.ts'

export interface ConvolutionOptions {
  /** One per spatial axis, as are the dilations. */
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly padding: Padding
  readonly format: Format
  /** One number per output channel. */
  readonly bias?: Value | undefined
}

/** A convolution over any number of spatial axes. `kernel` is [...window, in, out]; in the file it is [out, in, ...window]. */
export function convolution(l: Lowering, x: Value, kernel: Value, options: ConvolutionOptions): Computed {
  const rank = kernel.dims.length - 2
  const [inputs, outputs] = kernel.dims.slice(rank) as number[]
  const weight = (): string => l.arranged(kernel, [rank + 1, rank, ...range(rank)])
  return convolve(l, x, kernel, options, { inputs: inputs!, outputs: outputs!, group: 1, weight })
}

/** A filter bank of its own for every channel. `kernel` is [...window, in, multiplier]; in the file [in * multiplier, 1, ...window]. */
export function depthwiseConvolution(
  l: Lowering,
  x: Value,
  kernel: Value,
  options: ConvolutionOptions,
): Computed {
  const rank = kernel.dims.length - 2
  const [inputs, multiplier] = kernel.dims.slice(rank) as [number, number]
  const outputs = inputs * multiplier
  const weight = (): string =>
    l.arranged(
      kernel,
      [rank, rank + 1, ...range(rank)],
      [outputs, 1, ...(kernel.dims.slice(0, rank) as number[])],
    )
  return convolve(l, x, kernel, options, { inputs, outputs, group: inputs, weight })
}

interface Kernel {
  readonly inputs: number
  readonly outputs: number
  readonly group: number
  readonly weight: () => string
}

function convolve(
  l: Lowering,
  x: Value,
  kernel: Value,
  { strides, dilations, padding, format, bias }: ConvolutionOptions,
  { inputs, outputs, group, weight }: Kernel,
): Computed {
  const windows = windowsOf(kernel, strides, dilations)
  const { source, pads: own } = unpadded(l, x, format)
  const image = asImage(l, source, format)
  if (image.channels !== inputs)
    throw unsupported(`a convolution over ${inputs} channels meets an image of ${image.channels}`)
  const lengths = image.spatial.map((length, axis) => length + own[axis]![0] + own[axis]![1])
  const { pads, lengths: spatial } = slide(lengths, windows, padding)
  const name = l.op('Conv', [image.name, weight(), ...(bias ? [l.name(bias)] : [])], {
    kernel_shape: windows.map(({ size }) => size),
    strides,
    dilations,
    group,
    pads: flat(pads.map(([before, after], axis) => [before + own[axis]![0], after + own[axis]![1]])),
  })
  return ofImage(l, { name, batch: image.batch, channels: outputs, spatial }, format)
}

export interface TransposedOptions extends ConvolutionOptions {
  /** Spatial sizes of the result: of the image whose convolution would give `x`. */
  readonly spatial: readonly number[]
}

/** The gradient of a convolution with respect to its image. `kernel` is [...window, out, in]; in the file [in, out, ...window]. */
export function transposedConvolution(
  l: Lowering,
  x: Value,
  kernel: Value,
  { strides, dilations, padding, format, bias, spatial }: TransposedOptions,
): Computed {
  const rank = kernel.dims.length - 2
  const image = asImage(l, x, format)
  const windows = windowsOf(kernel, strides, dilations)
  const { pads, lengths } = slide(spatial, windows, padding)
  if (lengths.some((length, axis) => length !== image.spatial[axis]))
    throw unsupported(
      `no convolution of [${spatial}] gives [${image.spatial}], as its transposition would have it`,
    )
  // The last rows of an image that no window reaches are what ONNX calls output padding.
  const reached = image.spatial.map(
    (length, axis) =>
      (length - 1) * strides[axis]! + extent(windows[axis]!) - pads[axis]![0] - pads[axis]![1],
  )
  const name = l.op(
    'ConvTranspose',
    [image.name, l.arranged(kernel, [rank + 1, rank, ...range(rank)]), ...(bias ? [l.name(bias)] : [])],
    {
      kernel_shape: windows.map(({ size }) => size),
      strides,
      dilations,
      pads: flat(pads),
      output_padding: spatial.map((length, axis) => length - reached[axis]!),
    },
  )
  return ofImage(l, { name, batch: image.batch, channels: kernel.dims[rank] as number, spatial }, format)
}

function windowsOf(kernel: Value, strides: readonly number[], dilations: readonly number[]): Window[] {
  const sizes = kernel.dims.slice(0, -2) as number[]
  return sizes.map((size, axis) => ({ size, stride: strides[axis]!, dilation: dilations[axis]! }))
}
