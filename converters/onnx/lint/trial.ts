import { asZooError, type ZooError } from '../../../manifests/error.ts'
import { uniforms } from '../../perturb/random.ts'
import type { Classifier } from '../classifier.ts'
import { lossGradient } from '../gradient/loss-gradient.ts'
import { fromFloat16, toFloat16 } from '../half.ts'
import type { ModelSource, Session } from '../runtime/session.ts'
import { type DataType, sizeOf, Tensor } from '../tensor.ts'

/** What a few runs on random images show. Differences are relative to the largest score. */
export interface Trial {
  /** Between the file as it is and the model prepared for attacks; or why the file does not run. */
  readonly difference: number | ZooError
  /** Between two runs on the same images. */
  readonly repeated: number
  /** Of one image's scores when others share its batch; undefined if the model takes one image at a time. */
  readonly companions: number | undefined
  /** Whether all scores are numbers. */
  readonly finite: boolean
  /** Of the cross-entropy: how many of the images have none, and whether it is all numbers; or why there is none. */
  readonly gradient: GradientTrial | ZooError
}

export interface GradientTrial {
  readonly images: number
  readonly zeros: number
  readonly finite: boolean
}

/** Shares of the pixels that get noise, a batch each; the others stay dark. Models of digits saturate at full noise. */
const DENSITIES = [1, 0.02]

interface TrialOptions {
  readonly open: (source: ModelSource) => Promise<Session>
  /** The range that the model's own input seems to want. */
  readonly range: readonly [number, number]
  /** The file's output that holds the scores. */
  readonly output: string
}

export async function tryOut(path: string, classifier: Classifier, options: TrialOptions): Promise<Trial> {
  const { model, image, shape, batch, classes } = classifier
  const count = batch ?? 2
  const session = await options.open(model)
  const scoresOf = async (images: Tensor): Promise<readonly number[]> =>
    (await session.run({ [image]: images })).logits!.numbers
  try {
    const [images, others] = DENSITIES.map((density, key) =>
      randomImages([count, ...shape], options.range, key, density),
    ) as [Tensor, Tensor]
    const scores = await scoresOf(images)
    const inCompany = await scoresOf(withFirstOf(images, others))
    return {
      difference: await differenceFromFile(path, classifier, images, scores, options),
      repeated: difference(await scoresOf(images), scores),
      companions: count === 1 ? undefined : difference(inCompany.slice(0, classes), scores.slice(0, classes)),
      finite: scores.every(Number.isFinite),
      gradient: await tryGradient(classifier, [images, others], scoresOf, options),
    }
  } finally {
    await session.release()
  }
}

async function differenceFromFile(
  path: string,
  { outputKind, classes }: Classifier,
  images: Tensor,
  scores: readonly number[],
  { open, output }: TrialOptions,
): Promise<number | ZooError> {
  try {
    const session = await open(path)
    try {
      const { name, dtype } = session.inputs[0]!
      const given = (await session.run({ [name]: converted(images, dtype) }))[output]!
      const own = outputKind === 'probabilities' ? softmax(scores, classes) : scores
      return difference(
        own,
        given.dtype === 'float16' ? Array.from(given.numbers, fromFloat16) : given.numbers,
      )
    } finally {
      await session.release()
    }
  } catch (error) {
    return asZooError(error)
  }
}

async function tryGradient(
  classifier: Classifier,
  batches: readonly Tensor[],
  scoresOf: (images: Tensor) => Promise<readonly number[]>,
  { open }: TrialOptions,
): Promise<GradientTrial | ZooError> {
  try {
    const session = await open(await lossGradient(classifier, { loss: 'ce', open }))
    try {
      const seen = { images: 0, zeros: 0, finite: true }
      for (const images of batches) {
        const count = images.dims[0]!
        const { classes, image } = classifier
        // Not the class that the model says: where it is sure of that, the gradient rightly vanishes.
        const labels = rows(await scoresOf(images), classes).map(
          (row) => (row.indexOf(Math.max(...row)) + 1) % classes,
        )
        const results = await session.run({ [image]: images, label: Tensor.int64([count], labels) })
        const values = results.gradient!.numbers
        const perImage = rows(values, values.length / count)
        seen.images += count
        seen.zeros += perImage.filter((row) => row.every((value) => value === 0)).length
        seen.finite &&= values.every(Number.isFinite)
      }
      return seen
    } finally {
      await session.release()
    }
  } catch (error) {
    return asZooError(error)
  }
}

/** Steps of 1/256 of the range are exact in every float type, and whole numbers where the range is that of bytes. */
function randomImages(
  dims: readonly number[],
  [low, high]: readonly [number, number],
  key: number,
  density: number,
): Tensor {
  const step = high - low > 100 ? 1 : (high - low) / 256
  const size = sizeOf(dims)
  const where = uniforms([key, 0], size)
  const values = uniforms([key, 1], size).map((value, i) =>
    where[i]! < density ? low + step * Math.floor(value * 256) : low,
  )
  return Tensor.float32(dims, values)
}

/** The batch `others` with the first image of `images` in place of its own. */
function withFirstOf(images: Tensor, others: Tensor): Tensor {
  const values = others.floats.slice()
  values.set(images.floats.subarray(0, values.length / images.dims[0]!))
  return Tensor.float32(images.dims, values)
}

function converted(images: Tensor, dtype: DataType): Tensor {
  const { dims, floats } = images
  switch (dtype) {
    case 'uint8':
      return Tensor.of(dtype, dims, Uint8Array.from(floats))
    case 'int8':
      return Tensor.of(dtype, dims, Int8Array.from(floats))
    case 'int32':
      return Tensor.of(dtype, dims, Int32Array.from(floats))
    case 'float64':
      return Tensor.of(dtype, dims, Float64Array.from(floats))
    case 'float16':
      return Tensor.of(dtype, dims, Uint16Array.from(floats, toFloat16))
    default:
      return images
  }
}

/** Relative to the largest of the expected values. */
function difference(values: readonly number[], expected: readonly number[]): number {
  if (values.length !== expected.length) return Number.POSITIVE_INFINITY
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const off = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i]!)), 0)
  return off === 0 ? 0 : off / largest
}

const rows = (values: readonly number[], width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width))

const softmax = (scores: readonly number[], classes: number): number[] =>
  rows(scores, classes).flatMap((row) => {
    const highest = Math.max(...row)
    const exps = row.map((value) => Math.exp(value - highest))
    const sum = exps.reduce((a, b) => a + b, 0)
    return exps.map((value) => value / sum)
  })
