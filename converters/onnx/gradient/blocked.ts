import type { AttributeValues } from '../builder.ts'
import { float } from '../builder.ts'
import type { Emitter } from './emitter.ts'
import type { Channelwise, Convolution, Formulations } from './formulations.ts'
import { plain, transposedConvolution, transposedOnes } from './plain.ts'
import { fixed, product, range, type Size, type Sizes } from './sizes.ts'
import { extent } from './windows.ts'

/** Formulations that keep onnxruntime's CPU provider in its blocked layout. */
export const blocked: Formulations = { step, between, ramp, convolutionInput, spreadWindows, spread }

/** Slope of a HardSigmoid that stands for a step. Steps are taken back through as such: their gradient is zero. */
export const STEEP = 2 ** 60

function step(op: Emitter, value: string): string {
  return op.dtype === 'float32' ? stepAt(op, value, 0, 1) : plain.step(op, value)
}

function between(op: Emitter, value: string, low: number, high: number): string {
  if (op.dtype !== 'float32') return plain.between(op, value, low, high)
  const steps = [
    ...(Number.isFinite(low) ? [stepAt(op, value, low, 1)] : []),
    ...(Number.isFinite(high) ? [stepAt(op, value, high, -1)] : []),
  ]
  return steps.reduce(op.mul)
}

/**
 * 1 above the edge and 0 at and below it, or the other way round for direction -1. The slope is the largest power of
 * two with which the product is finite: so the product is exact, and any number but the edge itself is far beyond 0 or
 * 1. Around the edge 0 this fails for denormal numbers only.
 */
function stepAt(op: Emitter, value: string, edge: number, direction: 1 | -1): string {
  const exponent = edge === 0 ? 127 : 126 - Math.floor(Math.log2(Math.abs(edge)))
  const slope = direction * 2 ** Math.min(exponent, 127)
  return op.op('HardSigmoid', [value], { alpha: float(slope), beta: float(-slope * edge) })
}

/** Adding and multiplying with a number has no blocked form, but this does it. */
function ramp(op: Emitter, value: string, slope: number, offset: number): string {
  if (op.dtype !== 'float32') return plain.ramp(op, value, slope, offset)
  return op.op('HardSigmoid', [value], { alpha: float(slope), beta: float(offset) })
}

function convolutionInput(op: Emitter, dy: string, convolution: Convolution): string {
  const { strides, dilations, kernel } = convolution
  if (op.dtype !== 'float32') return transposedConvolution(op, dy, convolution)
  if (strides.every((stride) => stride === 1)) return flippedConvolution(op, dy, convolution)
  const stride = strides[0]!
  const even = strides.length === 2 && strides.every((s) => s === stride) && dilations.every((d) => d === 1)
  if (!even || convolution.group > 1) return transposedConvolution(op, dy, convolution)
  if (kernel.every((size) => size === 1)) return spacedConvolution(op, dy, convolution, stride)
  return subPixelConvolution(op, dy, convolution, stride)
}

/** Stride 1: a convolution of dy with the kernel reversed in space and inputs and outputs exchanged. */
function flippedConvolution(op: Emitter, dy: string, convolution: Convolution): string {
  const { kernel, dilations, padsBegin, padsEnd, group } = convolution
  const reach = kernel.map((size, i) => extent(size, dilations[i]!) - 1)
  const pads = [...padsBegin, ...padsEnd].map((pad, i) => reach[i % reach.length]! - pad)
  if (pads.some((pad) => pad < 0)) return transposedConvolution(op, dy, convolution)
  return op.op('Conv', [dy, flippedWeights(op, convolution)], {
    kernel_shape: kernel,
    dilations,
    group,
    pads,
  })
}

/** Written as nodes, so that the file holds each weight once; onnxruntime folds them when it loads. */
function flippedWeights(op: Emitter, { weights, kernel, group, inputs, outputs }: Convolution): string {
  const axes = range(kernel.length, 2)
  const flipped = op.flip(
    weights,
    axes.filter((axis) => kernel[axis - 2]! > 1),
  )
  if (group === 1) return op.transpose(flipped, [1, 0, ...axes])
  const perGroup = [outputs / group, inputs / group]
  if (perGroup[0] === 1 && perGroup[1] === 1) return flipped
  const grouped = op.reshape(flipped, [group, ...perGroup, ...kernel])
  const exchanged = op.transpose(grouped, [0, 2, 1, ...axes.map((axis) => axis + 1)])
  return op.reshape(exchanged, [inputs, outputs / group, ...kernel])
}

/**
 * Stride s, 2-D: the image's pixels fall into s x s phases by their position modulo s, and each phase is a stride-1
 * convolution of dy. One convolution computes all phases as channels, DepthToSpace interleaves them.
 *
 * Along one axis, with o the position of an element of dy: dx[s i + a] = sum over o of dy[o] w[s (i - o) + a + p].
 * Let q = (-p) mod s. With w shifted by q zeros in front, w'[s j + a] belongs to o = i + last - j, where
 * last = (p + q) / s.
 */
function subPixelConvolution(op: Emitter, dy: string, convolution: Convolution, stride: number): string {
  const { kernel, padsBegin, image, positions, inputs, outputs } = convolution
  const axes = kernel.map((size, i) => {
    const shift = (stride - (padsBegin[i]! % stride)) % stride
    const taps = Math.ceil((size + shift) / stride)
    const padBegin = taps - 1 - (padsBegin[i]! + shift) / stride
    const wanted = Math.ceil(image[i]! / stride)
    return { shift, taps, padBegin, padEnd: wanted - positions[i]! - padBegin + taps - 1, wanted }
  })
  if (axes.some(({ padBegin, padEnd }) => padBegin < 0 || padEnd < 0))
    return transposedConvolution(op, dy, convolution)
  const [rows, columns] = axes as [(typeof axes)[0], (typeof axes)[0]]
  const padded = op.pad(convolution.weights, [
    0,
    0,
    rows.shift,
    columns.shift,
    0,
    0,
    ...axes.map(({ taps, shift }, i) => taps * stride - kernel[i]! - shift),
  ])
  const split = op.reshape(padded, [outputs, inputs, rows.taps, stride, columns.taps, stride])
  const flipped = op.flip(
    split,
    [2, 4].filter((axis) => (axis === 2 ? rows : columns).taps > 1),
  )
  const phases = op.reshape(op.transpose(flipped, [3, 5, 1, 0, 2, 4]), [
    stride * stride * inputs,
    outputs,
    rows.taps,
    columns.taps,
  ])
  const convolved = op.op('Conv', [dy, phases], {
    kernel_shape: [rows.taps, columns.taps],
    pads: [...axes.map((axis) => axis.padBegin), ...axes.map((axis) => axis.padEnd)],
  })
  const wanted = axes.map((axis) => axis.wanted) as [number, number]
  const interleaved = interleave(op, convolved, {
    stride,
    channels: inputs,
    size: wanted,
    batch: convolution.batch,
  })
  const whole = wanted.map((size) => size * stride)
  return enterBlocks(op, crop(op, interleaved, whole, image), inputs)
}

interface Interleaved {
  readonly stride: number
  readonly channels: number
  /** Height and width of one phase. */
  readonly size: readonly [height: number, width: number]
  readonly batch: Size
}

/**
 * DepthToSpace in DCR order, as two transpositions: first phases become neighbours within a row, then rows are
 * interleaved whole. onnxruntime does that three times faster than its own DepthToSpace.
 */
function interleave(op: Emitter, value: string, { stride, channels, size, batch }: Interleaved): string {
  const [height, width] = size
  const columns = op.reshape(value, [product([batch, stride]), stride, channels * height * width])
  const inRows = op.transpose(columns, [0, 2, 1])
  const rows = op.reshape(inRows, [batch, stride, channels * height, width * stride])
  return op.reshape(op.transpose(rows, [0, 2, 1, 3]), [batch, channels, height * stride, width * stride])
}

/** 1x1 kernel, stride s, 2-D: convolve, copy each pixel to an s x s block, and keep one pixel of each block. */
function spacedConvolution(op: Emitter, dy: string, convolution: Convolution, stride: number): string {
  const { image, positions, padsBegin } = convolution
  const spread = positions.map((size) => size * stride)
  if (padsBegin.some((pad) => pad > 0) || spread.some((size, i) => size < image[i]!))
    return transposedConvolution(op, dy, convolution)
  const convolved = op.op('Conv', [dy, flippedWeights(op, convolution)], { kernel_shape: [1, 1] })
  const blocks = nearest(op, convolved, [1, 1, stride, stride])
  const cropped = crop(op, blocks, spread, image)
  const [height, width] = image as [number, number]
  const mask = Float32Array.from({ length: height * width }, (_, i) =>
    (i % width) % stride === 0 && Math.floor(i / width) % stride === 0 ? 1 : 0,
  )
  return enterBlocks(op, op.mul(cropped, op.floats([1, 1, height, width], mask)), convolution.inputs)
}

/** Block sizes are 8 or 16 channels. */
const BLOCK = 8

/**
 * A convolution that changes nothing, as the way back into the blocked layout: a sum or a product stays blocked only if
 * both of its operands are, so without it everything up to the next convolution would be reordered.
 */
function enterBlocks(op: Emitter, value: string, channels: number): string {
  if (channels % BLOCK !== 0) return value
  const ones = op.filled([channels, 1, 1, 1], 1)
  return op.op('Conv', [value, ones], { kernel_shape: [1, 1], group: channels })
}

function crop(op: Emitter, value: string, from: readonly number[], to: readonly number[]): string {
  const axes = range(from.length).filter((i) => from[i] !== to[i])
  if (axes.length === 0) return value
  return op.slice(
    value,
    axes.map(() => 0),
    axes.map((i) => to[i]!),
    axes.map((i) => i + 2),
  )
}

const NEAREST: AttributeValues = {
  mode: 'nearest',
  coordinate_transformation_mode: 'asymmetric',
  nearest_mode: 'floor',
}

/** Copies every element to a block. */
export const nearest = (op: Emitter, value: string, scales: readonly number[]): string =>
  op.op('Resize', [value, '', op.singles([scales.length], scales)], NEAREST)

function spreadWindows(op: Emitter, value: string, windows: Channelwise): string {
  const { kernel, strides, dilations, padsBegin, image, positions, channels } = windows
  if (op.dtype !== 'float32' || kernel.length !== 2) return transposedOnes(op, value, windows)
  const apart = kernel.every((size, i) => size === strides[i] && dilations[i] === 1 && padsBegin[i] === 0)
  if (apart && image.every((size, i) => size === positions[i]! * kernel[i]!))
    return nearest(op, value, [1, 1, ...kernel])
  if (strides.some((stride) => stride > 1)) return transposedOnes(op, value, windows)
  const reach = kernel.map((size, i) => extent(size, dilations[i]!) - 1)
  const before = reach.map((size, i) => size - padsBegin[i]!)
  const after = image.map((size, i) => size - positions[i]! + reach[i]! - before[i]!)
  if ([...before, ...after].some((pad) => pad < 0)) return transposedOnes(op, value, windows)
  const ones = op.filled([channels, 1, ...kernel], 1)
  return op.op('Conv', [value, ones], {
    kernel_shape: kernel,
    dilations,
    group: channels,
    pads: [...before, ...after],
  })
}

/** Up to this many positions a convolution with ones is cheap enough to be the way into the blocked layout. */
const SMALL_IMAGE = 64

function spread(op: Emitter, value: string, sizes: Sizes): string {
  const [channels, ...image] = fixed(sizes.slice(1), 'an image size') as [number, ...number[]]
  const count = image.reduce((a, b) => a * b, 1)
  if (op.dtype !== 'float32' || image.length !== 2) return plain.spread(op, value, sizes)
  if (count > SMALL_IMAGE) return nearest(op, enterBlocks(op, value, channels), [1, 1, ...image])
  const reach = image.map((size) => size - 1)
  const ones = op.filled([channels, 1, ...image], 1)
  return op.op('Conv', [value, ones], { kernel_shape: image, group: channels, pads: [...reach, ...reach] })
}
