import * as tf from '@tensorflow/tfjs'
import { type KernelAttributes, replaceKernel } from './kernel.ts'

type Info = tf.backend_util.Conv2DInfo

function infoOf(image: number[], kernel: number[], attributes: KernelAttributes): Info {
  return tf.backend_util.computeConv2DInfo(
    image as [number, number, number, number],
    kernel as [number, number, number, number],
    attributes.strides as [number, number],
    1,
    attributes.pad as number,
    attributes.dimRoundingMode as 'floor' | undefined,
  )
}

/**
 * Missing on wasm (tfjs issue 8474), so that no convolution can be trained there: the gradient of a convolution's kernel.
 * It is one forward convolution: of the image, with channels as its batch [C,H,W,N], by dy [oh,ow,N,K],
 * dilated by the stride.
 */
export function repairKernelGradient(): void {
  replaceKernel('Conv2DBackpropFilter', ({ x, dy }, attributes) =>
    kernelGradient(
      x as tf.Tensor4D,
      dy as tf.Tensor4D,
      infoOf(x!.shape, attributes.filterShape as number[], attributes),
    ),
  )
}

/** The stock kernel is a scalar loop. This is a forward convolution of dy, spread out by the stride, with the kernel turned round. */
export function repairImageGradient(): void {
  replaceKernel('Conv2DBackpropInput', ({ dy, filter }, attributes) =>
    imageGradient(
      dy as tf.Tensor4D,
      filter as tf.Tensor4D,
      infoOf(attributes.inputShape as number[], filter!.shape, attributes),
    ),
  )
}

function kernelGradient(x: tf.Tensor4D, dy: tf.Tensor4D, info: Info): tf.Tensor {
  const { batchSize, filterHeight, filterWidth, inChannels, outChannels, inHeight, inWidth } = info
  const { outHeight, outWidth, strideHeight, strideWidth, padInfo } = info
  if (filterHeight === 1 && filterWidth === 1 && padInfo.top === 0 && padInfo.left === 0) {
    const rows = batchSize * outHeight * outWidth
    const seen = strided(x, info)
    const product = tf.matMul(tf.reshape(seen, [rows, inChannels]), tf.reshape(dy, [rows, outChannels]), true)
    return tf.reshape(product, [1, 1, inChannels, outChannels])
  }
  // Rows and columns that the windows don't reach are cut off; those they miss are zeros.
  const bottom = filterHeight + (outHeight - 1) * strideHeight - inHeight - padInfo.top
  const right = filterWidth + (outWidth - 1) * strideWidth - inWidth - padInfo.left
  const reached = cropped(x, inHeight + Math.min(bottom, 0), inWidth + Math.min(right, 0))
  const images = tf.transpose(reached, [3, 1, 2, 0]) as tf.Tensor4D
  const positions = tf.transpose(tf.reshape(dy, [batchSize, outHeight * outWidth, outChannels]), [1, 0, 2])
  const kernels = tf.reshape(positions, [outHeight, outWidth, batchSize, outChannels]) as tf.Tensor4D
  const pads: Pads = [
    [0, 0],
    [padInfo.top, Math.max(bottom, 0)],
    [padInfo.left, Math.max(right, 0)],
    [0, 0],
  ]
  const gradient = tf.conv2d(images, kernels, 1, pads, 'NHWC', [strideHeight, strideWidth])
  return tf.transpose(gradient, [1, 2, 0, 3])
}

type Pads = [[number, number], [number, number], [number, number], [number, number]]

function imageGradient(dy: tf.Tensor4D, kernel: tf.Tensor4D, info: Info): tf.Tensor {
  const { batchSize, filterHeight, filterWidth, inChannels, outChannels, inHeight, inWidth } = info
  const { outHeight, outWidth, strideHeight, strideWidth, padInfo } = info
  const strides = strideHeight > 1 || strideWidth > 1
  if (filterHeight === 1 && filterWidth === 1 && padInfo.top === 0 && padInfo.left === 0) {
    const rows = tf.reshape(dy, [batchSize * outHeight * outWidth, outChannels])
    const product = tf.matMul(rows, tf.reshape(kernel, [inChannels, outChannels]), false, true)
    const seen = tf.reshape(product, [batchSize, outHeight, outWidth, inChannels]) as tf.Tensor4D
    return fitted(strides ? spread(seen, strideHeight, strideWidth) : seen, inHeight, inWidth)
  }
  if (strideHeight === 2 && strideWidth === 2) return subPixelGradient(dy, kernel, info)
  const turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]) as tf.Tensor4D
  const spaced = strides ? spread(dy, strideHeight, strideWidth) : dy
  const top = filterHeight - 1 - padInfo.top
  const left = filterWidth - 1 - padInfo.left
  const bottom = inHeight - (spaced.shape[1] + top - filterHeight + 1)
  const right = inWidth - (spaced.shape[2] + left - filterWidth + 1)
  // Padding wider than the kernel leaves outer rows of dy that saw zeros only.
  const seen = part(
    spaced,
    [0, Math.max(-top, 0), Math.max(-left, 0), 0],
    [
      batchSize,
      spaced.shape[1] + Math.min(bottom, 0) - Math.max(-top, 0),
      spaced.shape[2] + Math.min(right, 0) - Math.max(-left, 0),
      outChannels,
    ],
  )
  const pads: Pads = [
    [0, 0],
    [Math.max(top, 0), Math.max(bottom, 0)],
    [Math.max(left, 0), Math.max(right, 0)],
    [0, 0],
  ]
  return tf.conv2d(seen, turned, 1, pads)
}

/**
 * The same for stride 2 without zeros between (Shi et al. 2016): the pixels of even and odd rows are two convolutions
 * of dy, with the phases of the columns as channels, and are then joined row by row.
 */
function subPixelGradient(dy: tf.Tensor4D, kernel: tf.Tensor4D, info: Info): tf.Tensor {
  const { batchSize, filterHeight, filterWidth, inChannels, outChannels, inHeight, inWidth, padInfo } = info
  const vertical = phaseAxis(filterHeight, padInfo.top, inHeight, dy.shape[1])
  const horizontal = phaseAxis(filterWidth, padInfo.left, inWidth, dy.shape[2])
  const [down, across] = [vertical.taps, horizontal.taps]
  const padded = tf.pad(kernel, [vertical.filling, horizontal.filling, [0, 0], [0, 0]])
  const split = tf.reshape(padded, [down, 2, across, 2, inChannels, outChannels])
  const phases = tf.reshape(tf.transpose(split, [1, 0, 2, 5, 3, 4]), [
    2,
    down,
    across,
    outChannels * 2 * inChannels,
  ])
  const seen = part(
    dy,
    [0, vertical.begin, horizontal.begin, 0],
    [batchSize, vertical.size, horizontal.size, outChannels],
  )
  const halves = tf.unstack(phases).map((phase) => {
    const turned = tf.reverse(tf.reshape(phase, [down, across, outChannels, 2 * inChannels]), [0, 1])
    const half = tf.conv2d(seen, turned as tf.Tensor4D, 1, [[0, 0], vertical.pads, horizontal.pads, [0, 0]])
    return tf.reshape(half, [batchSize * half.shape[1], half.shape[2] * 2 * inChannels])
  })
  const [rows, columns] = [Math.ceil(inHeight / 2), Math.ceil(inWidth / 2)]
  const whole = tf.reshape(tf.concat(halves, 1), [batchSize, rows * 2, columns * 2, inChannels])
  return cropped(whole as tf.Tensor4D, inHeight, inWidth)
}

/** One axis of `subPixelGradient`: pixel 2q + r gets dy[q + shift - j] times tap 2j + r of the kernel with its filling. */
function phaseAxis(kernel: number, pad: number, image: number, dy: number) {
  // A zero tap in front makes the padding even, and the phases those of the unpadded image.
  const front = pad % 2
  const taps = Math.ceil((kernel + front) / 2)
  const before = taps - 1 - (pad + front) / 2
  const after = Math.ceil(image / 2) - (dy + before - taps + 1)
  const begin = Math.max(-before, 0)
  return {
    taps,
    filling: [front, 2 * taps - kernel - front] as [number, number],
    begin,
    size: dy - begin + Math.min(after, 0),
    pads: [Math.max(before, 0), Math.max(after, 0)] as [number, number],
  }
}

/** The pixels that a 1x1 convolution with strides sees, by two cuts of matrices: a strided slice is a scalar loop. */
function strided(x: tf.Tensor4D, { strideHeight, strideWidth, outHeight, outWidth }: Info): tf.Tensor4D {
  if (strideHeight === 1 && strideWidth === 1) return x
  const [batch, , , channels] = x.shape
  const whole = fitted(x, outHeight * strideHeight, outWidth * strideWidth)
  const row = outWidth * strideWidth * channels
  const rows = tf.slice(tf.reshape(whole, [batch * outHeight, strideHeight * row]), [0, 0], [-1, row])
  const pixels = tf.reshape(rows, [batch * outHeight * outWidth, strideWidth * channels])
  return tf.reshape(tf.slice(pixels, [0, 0], [-1, channels]), [batch, outHeight, outWidth, channels])
}

/** [N,h,w,C] to [N,h·sh,w·sw,C] with zeros between, by two paddings of matrices. */
function spread(x: tf.Tensor4D, strideHeight: number, strideWidth: number): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape
  const columns = tf.pad(tf.reshape(x, [batch * height * width, channels]), [
    [0, 0],
    [0, channels * (strideWidth - 1)],
  ])
  const row = width * strideWidth * channels
  const rows = tf.pad(tf.reshape(columns, [batch * height, row]), [
    [0, 0],
    [0, row * (strideHeight - 1)],
  ])
  return tf.reshape(rows, [batch, height * strideHeight, width * strideWidth, channels])
}

/** A slice, which is the tensor itself where that is all of it. */
const part = (
  x: tf.Tensor4D,
  begin: [number, number, number, number],
  size: [number, number, number, number],
): tf.Tensor4D => (size.every((extent, axis) => extent === x.shape[axis]) ? x : tf.slice(x, begin, size))

function cropped(x: tf.Tensor4D, height: number, width: number): tf.Tensor4D {
  if (x.shape[1] <= height && x.shape[2] <= width) return x
  const size = [x.shape[0], Math.min(height, x.shape[1]), Math.min(width, x.shape[2]), x.shape[3]]
  return tf.slice(x, [0, 0, 0, 0], size as [number, number, number, number])
}

/** Cut, or filled with zeros, to this size at the bottom and right. */
function fitted(x: tf.Tensor4D, height: number, width: number): tf.Tensor4D {
  const inside = cropped(x, height, width)
  const [down, across] = [height - inside.shape[1], width - inside.shape[2]]
  if (down === 0 && across === 0) return inside
  return tf.pad(inside, [
    [0, 0],
    [0, down],
    [0, across],
    [0, 0],
  ])
}
