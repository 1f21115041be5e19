import { ZooError } from '../../manifests/error.ts'
import type { DataSet } from '../data/dataset.ts'
import { sizeOf, Tensor } from '../onnx/tensor.ts'
import { keyOf, uniforms } from '../perturb/random.ts'
import { range as numbersFrom } from './dims.ts'
import { permuted } from './lowering/permute.ts'
import { type Computed, toChannelsLast } from './lowering/value.ts'

/** Batches of inputs by name, as tfjs takes them, and how many samples there are in all. */
export interface Samples {
  readonly count: number
  batches(): AsyncIterable<Readonly<Record<string, Tensor>>>
}

/** What 0 and 1 of an image mean to the model. */
export type Range = readonly [number, number]

/** Samples in one call, where the model leaves that open. */
const BATCH_SIZE = 4

/** Every other random image is made of squares of this many pixels, with a little noise: pure noise averages out. */
const SQUARE = 16
const NOISE = 0.2

/** Random inputs, the same for the same seed; as many as asked, rounded up to whole batches where their size is fixed. */
export function randomSamples(
  inputs: readonly Computed[],
  count: number,
  range: Range,
  seed: number,
): Samples {
  const batch = fixedBatch(inputs)
  const total = batch === null ? count : Math.ceil(count / batch) * batch
  return batched(total, batch ?? BATCH_SIZE, (indices) =>
    Object.fromEntries(
      inputs.map((input) => {
        const samples = indices.map((index) => randomSample(input, seed, index))
        return [input.name, fed(input, samples, range)]
      }),
    ),
  )
}

/**
 * The first images of a data set, which must have the size and the channels of the model's only input.
 *
 * @throws ZooError `usage` for a model that takes something else than images, `invalid-data`
 */
export function dataSamples(
  inputs: readonly Computed[],
  data: DataSet,
  count: number,
  range: Range,
): Samples {
  const [input, ...others] = inputs
  if (input?.dims.length !== 4 || others.length > 0)
    throw new ZooError('usage', 'only a model whose one input is images can be compared on a data set')
  const [channels, height, width] = data.shape
  if (`${input.dims.slice(1)}` !== `${[height, width, channels]}`)
    throw new ZooError(
      'invalid-data',
      `${data.name} has images of ${height}x${width}x${channels}, the model takes ${input.dims.slice(1).join('x')}`,
    )
  const batch = fixedBatch(inputs)
  const available = Math.min(count, data.size)
  const total = batch === null ? available : Math.floor(available / batch) * batch
  if (total === 0)
    throw new ZooError(
      'invalid-data',
      `${available} images are too few: the model takes ${batch ?? 1} at a time`,
    )
  return batched(total, batch ?? BATCH_SIZE, async (indices) => {
    const { images } = await data.read(indices)
    const nchw = Tensor.float32([indices.length, channels, height, width], images)
    return { [input.name]: fed(input, [permuted(nchw, toChannelsLast(4)).floats], range) }
  })
}

type Feeds = Readonly<Record<string, Tensor>>

const batched = (
  count: number,
  size: number,
  read: (indices: number[]) => Feeds | Promise<Feeds>,
): Samples => ({
  count,
  async *batches() {
    for (let first = 0; first < count; first += size)
      yield await read(numbersFrom(Math.min(size, count - first), first))
  },
})

/** The batch size that a model demands, or null. */
function fixedBatch([input]: readonly Computed[]): number | null {
  const batch = input?.dims[0]
  return typeof batch === 'number' ? batch : null
}

/** One sample in [0,1), without its batch axis. */
function randomSample({ name, dims }: Computed, seed: number, sample: number): Float32Array {
  const size = sizeOf(dims.slice(1) as number[])
  const noise = uniforms([seed, keyOf(name), sample], size)
  if (dims.length !== 4 || sample % 2 === 0) return noise
  const [height, width, channels] = dims.slice(1) as [number, number, number]
  const across = Math.ceil(width / SQUARE)
  const squares = uniforms(
    [seed, keyOf(`${name} squares`), sample],
    Math.ceil(height / SQUARE) * across * channels,
  )
  return noise.map((value, i) => {
    const pixel = Math.floor(i / channels)
    const row = Math.floor(pixel / width / SQUARE)
    const column = Math.floor((pixel % width) / SQUARE)
    return (1 - NOISE) * squares[(row * across + column) * channels + (i % channels)]! + NOISE * value
  })
}

/** Samples in [0,1] as one input, in the model's range and type. Integers stand for pixels: whole numbers up to 255. */
function fed({ dtype, dims }: Computed, samples: readonly Float32Array[], [low, high]: Range): Tensor {
  const size = sizeOf(dims.slice(1) as number[])
  const count = samples.reduce((total, { length }) => total + length, 0) / size
  const all = new Float32Array(count * size)
  let offset = 0
  for (const sample of samples) {
    all.set(sample, offset)
    offset += sample.length
  }
  const shape = [count, ...(dims.slice(1) as number[])]
  if (dtype === 'int32')
    return Tensor.of(
      'int32',
      shape,
      Int32Array.from(all, (value) => Math.round(value * 255)),
    )
  return Tensor.float32(
    shape,
    all.map((value) => low + value * (high - low)),
  )
}
