import * as tf from '@tensorflow/tfjs'
import { type KernelAttributes, replaceKernel, stockKernel } from './kernel.ts'

/**
 * The stock convolution returns zeros where SAME padding needs no padding at all because the stride exceeds the kernel
 * (kernel 2, stride 3). Such a convolution is given the same padding in numbers.
 * (Found in 4.22; no upstream issue was known to us.)
 */
export function repairSmallStridedConvolution(): void {
  for (const name of ['Conv2D', 'FusedConv2D']) {
    const stock = stockKernel(name)
    replaceKernel(name, (inputs, attributes) =>
      stock(
        inputs,
        attributes.pad === 'same' ? { ...attributes, pad: explicit(inputs, attributes) } : attributes,
      ),
    )
  }
}

function explicit(
  { x, filter }: Readonly<Record<string, tf.Tensor>>,
  attributes: KernelAttributes,
): [[number, number], [number, number], [number, number], [number, number]] {
  const { padInfo } = tf.backend_util.computeConv2DInfo(
    x!.shape as [number, number, number, number],
    filter!.shape as [number, number, number, number],
    attributes.strides as [number, number],
    attributes.dilations as [number, number],
    'same',
  )
  return [
    [0, 0],
    [padInfo.top, padInfo.bottom],
    [padInfo.left, padInfo.right],
    [0, 0],
  ]
}
