import type { Call } from './rule.ts'
import { range, spatial } from './sizes.ts'

/** How a kernel slides over an image: one entry per spatial axis, automatic padding resolved. */
export interface Windows {
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly padsBegin: readonly number[]
  readonly padsEnd: readonly number[]
  /** Sizes of the image that the kernel slides over, and of the result: one element per position. */
  readonly image: readonly number[]
  readonly positions: readonly number[]
}

/** A kernel's reach along one axis: dilation leaves gaps between its elements. */
export const extent = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1

/** Spatial axes of a value with batch and channels in front. */
export const spatialAxes = (windows: Windows): number[] => range(windows.kernel.length, 2)

/** The windows of a convolution or pooling node; `kernel` where the node's weights give it. */
export function windowsOf(call: Call, kernelOfWeights?: readonly number[]): Windows {
  const { attributes, facts } = call
  const image = spatial(facts.sizes(call.x[0]!))
  return windowsBetween(
    call,
    kernelOfWeights ?? attributes.ints('kernel_shape') ?? [],
    image,
    spatial(facts.sizes(call.y)),
  )
}

/** For a transposed convolution the image is the node's output. */
export function transposedWindowsOf(call: Call, kernel: readonly number[]): Windows {
  const { attributes, facts } = call
  const positions = spatial(facts.sizes(call.x[0]!))
  const image = spatial(facts.sizes(call.y))
  const windows = windowsBetween(call, kernel, image, positions)
  const outputPadding = attributes.ints('output_padding') ?? image.map(() => 0)
  if (attributes.ints('output_shape') === undefined && !automatic(call)) return windows
  // The standard turns a wanted output shape into padding.
  const total = image.map((size, i) =>
    Math.max(
      0,
      windows.strides[i]! * (positions[i]! - 1) +
        outputPadding[i]! +
        extent(kernel[i]!, windows.dilations[i]!) -
        size,
    ),
  )
  const upper = attributes.string('auto_pad', 'NOTSET') === 'SAME_UPPER'
  const smaller = total.map((sum) => Math.floor(sum / 2))
  const larger = total.map((sum, i) => sum - smaller[i]!)
  return { ...windows, padsBegin: upper ? smaller : larger, padsEnd: upper ? larger : smaller }
}

const automatic = (call: Call): boolean => call.attributes.string('auto_pad', 'NOTSET').startsWith('SAME')

function windowsBetween(
  call: Call,
  kernel: readonly number[],
  image: readonly number[],
  positions: readonly number[],
): Windows {
  const { attributes } = call
  const ones = image.map(() => 1)
  const strides = attributes.ints('strides') ?? ones
  const dilations = attributes.ints('dilations') ?? ones
  const autoPad = attributes.string('auto_pad', 'NOTSET')
  const pads = attributes.ints('pads') ?? [...image, ...image].map(() => 0)
  let padsBegin = pads.slice(0, image.length)
  let padsEnd = pads.slice(image.length)
  if (autoPad.startsWith('SAME')) {
    const total = image.map((size, i) =>
      Math.max(0, (positions[i]! - 1) * strides[i]! + extent(kernel[i]!, dilations[i]!) - size),
    )
    const smaller = total.map((sum) => Math.floor(sum / 2))
    const larger = total.map((sum, i) => sum - smaller[i]!)
    padsBegin = autoPad === 'SAME_UPPER' ? smaller : larger
    padsEnd = autoPad === 'SAME_UPPER' ? larger : smaller
  } else if (autoPad === 'VALID') {
    padsBegin = image.map(() => 0)
    padsEnd = padsBegin
  }
  return { kernel, strides, dilations, padsBegin, padsEnd, image, positions }
}
