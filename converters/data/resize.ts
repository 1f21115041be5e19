import { createHash } from 'node:crypto'
import sharp from 'sharp'
import type { InputDescription } from '../../manifests/schema/input.ts'
import type { DataSet } from './dataset.ts'

export type Resampling = InputDescription['resize']

/** libvips' names of the kernels; the cubic one is Catmull-Rom. When it shrinks an image it widens them against aliasing. */
export const KERNELS = { nearest: 'nearest', bilinear: 'linear', bicubic: 'cubic' } as const

/**
 * How an image gets a size of another shape: scaled until it covers it, then cut to the middle, as ImageNet's
 * evaluation does. Nothing is ever stretched.
 */
export const FIT = { fit: 'cover', position: 'centre' } as const

/** The same data set in another size, resampled at 16 bits while it is read. */
export function resized(
  data: DataSet,
  [height, width]: readonly [number, number],
  resampling: Resampling,
): DataSet {
  const [channels, fromHeight, fromWidth] = data.shape
  if (fromHeight === height && fromWidth === width) return data
  const record = channels * fromHeight * fromWidth
  return {
    ...data,
    sha256: createHash('sha256')
      .update(JSON.stringify([data.sha256, height, width, resampling]))
      .digest('hex'),
    shape: [channels, height, width],
    async read(indices) {
      const batch = await data.read(indices)
      const images = new Float32Array(indices.length * channels * height * width)
      await Promise.all(
        indices.map(async (_, i) => {
          const image = batch.images.subarray(i * record, (i + 1) * record)
          images.set(
            await resizeImage(image, data.shape, [height, width], resampling),
            i * channels * height * width,
          )
        }),
      )
      return { ...batch, images }
    },
  }
}

const DEEP = 65535

/** One image in [0,1], [C,H,W] with one or three channels. */
async function resizeImage(
  image: Float32Array,
  [channels, fromHeight, fromWidth]: readonly [number, number, number],
  [height, width]: readonly [number, number],
  resampling: Resampling,
): Promise<Float32Array> {
  const fromPixels = fromHeight * fromWidth
  const interleaved = new Uint16Array(image.length)
  for (let c = 0; c < channels; c++)
    for (let p = 0; p < fromPixels; p++)
      interleaved[p * channels + c] = Math.round(image[c * fromPixels + p]! * DEEP)
  const space = channels === 1 ? 'grey16' : 'rgb16'
  const { data } = await sharp(interleaved, {
    raw: { width: fromWidth, height: fromHeight, channels: channels as 1 | 3 },
  })
    .pipelineColourspace(space)
    .resize(width, height, { ...FIT, kernel: KERNELS[resampling] })
    .toColourspace(space)
    .raw({ depth: 'ushort' })
    .toBuffer({ resolveWithObject: true })
  const values = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
  const pixels = height * width
  const planes = new Float32Array(channels * pixels)
  for (let c = 0; c < channels; c++)
    for (let p = 0; p < pixels; p++) planes[c * pixels + p] = values[p * channels + c]! / DEEP
  return planes
}
