import type { Emitter } from '../emitter.ts'
import type { Convolution } from '../formulations.ts'
import { range } from '../sizes.ts'
import { extent } from '../windows.ts'
import { endPads } from './convolution.ts'

export interface WeightGradient {
  /** Names of the image [N, inputs, ...image] and of what meets the positions [N, outputs, ...positions]. */
  readonly image: string
  readonly positions: string
  readonly convolution: Convolution
}

/** With so few input channels one product for all kernel elements is faster than one product for each. */
const FEW_CHANNELS = 4

/**
 * dw[k] = sum over images and positions of image[position moved by k] dy[position]^T: a matrix product for each kernel
 * element k, batched over images and groups. A transposed convolution would say the same and takes twice the time.
 */
export function weightGradient(op: Emitter, { image, positions, convolution }: WeightGradient): string {
  const { group, inputs, outputs, kernel, batch } = convolution
  const count = convolution.positions.reduce((a, b) => a * b, 1)
  const [perGroupIn, perGroupOut] = [inputs / group, outputs / group]
  // [N, group, position, output]
  const right = op.transpose(op.reshape(positions, [batch, group, perGroupOut, count]), [0, 1, 3, 2])
  const padded = padImage(op, image, convolution)
  const shifted = kernelElements(kernel).map((element) =>
    op.reshape(shift(op, padded, convolution, element), [batch, group, perGroupIn, count]),
  )
  // Each [group, elements x input, output]
  const product = (left: string) => op.sum(op.matMul(left, right), [0], false)
  const joined = perGroupIn <= FEW_CHANNELS
  const products = joined ? product(op.concat(shifted, 2)) : op.concat(shifted.map(product), 1)
  const elements = shifted.length
  const split = op.reshape(products, [group, elements, perGroupIn, perGroupOut])
  return op.reshape(op.transpose(split, [0, 3, 2, 1]), [outputs, perGroupIn, ...kernel])
}

function padImage(op: Emitter, image: string, convolution: Convolution): string {
  const { padsBegin } = convolution
  return op.pad(image, [0, 0, ...padsBegin, 0, 0, ...endPads(convolution)])
}

/** The elements of the image that meet one element of the kernel, at all positions. */
function shift(op: Emitter, padded: string, convolution: Convolution, element: readonly number[]): string {
  const { strides, dilations, positions, kernel } = convolution
  if (kernel.every((size) => size === 1) && strides.every((stride) => stride === 1)) return padded
  const starts = element.map((k, i) => k * dilations[i]!)
  return op.slice(
    padded,
    starts,
    starts.map((start, i) => start + extent(positions[i]!, strides[i]!)),
    range(kernel.length, 2),
    strides,
  )
}

/** All index tuples of a kernel, in row-major order. */
const kernelElements = (kernel: readonly number[]): number[][] =>
  kernel.reduce<number[][]>(
    (tuples, size) => tuples.flatMap((tuple) => range(size).map((k) => [...tuple, k])),
    [[]],
  )
