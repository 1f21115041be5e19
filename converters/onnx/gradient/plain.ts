import type { Emitter } from './emitter.ts'
import type { Channelwise, Convolution, Formulations } from './formulations.ts'
import { extent } from './windows.ts'

/** The obvious formulations, for providers that have a fast kernel for each operator. */
export const plain: Formulations = {
  step: (op, value) => op.cast(op.op('Greater', [value, op.scalar(0)])),
  between: (op, value, low, high) =>
    op.cast(
      op.op('And', [op.op('Greater', [value, op.scalar(low)]), op.op('Less', [value, op.scalar(high)])]),
    ),
  ramp: (op, value, slope, offset) => op.shift(op.scale(value, slope), offset),
  convolutionInput: transposedConvolution,
  spreadWindows: transposedOnes,
  spread: (op, value, sizes) => op.expand(value, [1, 1, ...sizes.slice(2)]),
}

/** The gradient of any convolution with respect to its image, by definition. */
export function transposedConvolution(op: Emitter, dy: string, convolution: Convolution): string {
  const { kernel, strides, dilations, padsBegin, padsEnd, image, positions, group, weights } = convolution
  return op.op('ConvTranspose', [dy, weights], {
    kernel_shape: kernel,
    strides,
    dilations,
    group,
    pads: [...padsBegin, ...padsEnd],
    // What a stride larger than 1 left uncovered at the end of the image.
    output_padding: image.map(
      (size, i) =>
        size -
        ((positions[i]! - 1) * strides[i]! + extent(kernel[i]!, dilations[i]!) - padsBegin[i]! - padsEnd[i]!),
    ),
  })
}

/** A transposed convolution of each channel with ones. */
export function transposedOnes(op: Emitter, value: string, windows: Channelwise): string {
  const { channels } = windows
  return transposedConvolution(op, value, {
    ...windows,
    weights: op.filled([channels, 1, ...windows.kernel], 1),
    inputs: channels,
    outputs: channels,
    group: channels,
  })
}
