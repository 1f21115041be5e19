import { asZooError, type ZooError } from '../../../manifests/error.ts'
import type { Classifier } from '../classifier.ts'
import { lossGradient } from '../gradient/loss-gradient.ts'
import { openSession } from '../runtime/open.ts'
import { Tensor } from '../tensor.ts'
import type { FileRun } from './file-run.ts'
import { randomImages } from './noise.ts'

/** What a few runs on random images show. Differences are relative to the largest score. */
export interface Trial {
  /** Between the file as it is and the model prepared for attacks; undefined if they did not run on the same images. */
  readonly difference: number | undefined
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

interface TrialOptions {
  readonly run: FileRun | undefined
  /** The range that the model's own input seems to want. */
  readonly range: readonly [number, number]
  /** The file's output that holds the scores. */
  readonly output: string
}

export async function tryOut(classifier: Classifier, options: TrialOptions): Promise<Trial> {
  const { model, image, shape, batch, classes } = classifier
  const count = batch ?? 2
  const session = await openSession(model)
  const scoresOf = async (images: Tensor): Promise<readonly number[]> =>
    (await session.run({ [image]: images })).logits!.numbers
  try {
    const images = randomImages([count, ...shape], options.range, 'full')
    const others = randomImages([count, ...shape], options.range, 'sparse')
    const scores = await scoresOf(images)
    const inCompany = await scoresOf(withFirstOf(images, others))
    return {
      difference: differenceFromFile(classifier, scores, count, options),
      repeated: difference(await scoresOf(images), scores),
      companions: count === 1 ? undefined : difference(inCompany.slice(0, classes), scores.slice(0, classes)),
      finite: scores.every(Number.isFinite),
      gradient: await tryGradient(classifier, [images, others], scoresOf),
    }
  } finally {
    await session.release()
  }
}

/** undefined if the file did not run on the same images. */
function differenceFromFile(
  { outputKind, classes }: Classifier,
  scores: readonly number[],
  images: number,
  { run, output }: TrialOptions,
): number | undefined {
  const given = run?.images === images ? run.results[output] : undefined
  return given && difference(outputKind === 'probabilities' ? softmax(scores, classes) : scores, given)
}

async function tryGradient(
  classifier: Classifier,
  batches: readonly Tensor[],
  scoresOf: (images: Tensor) => Promise<readonly number[]>,
): Promise<GradientTrial | ZooError> {
  try {
    const session = await openSession(await lossGradient(classifier, { loss: 'ce' }))
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

/** The batch `others` with the first image of `images` in place of its own. */
function withFirstOf(images: Tensor, others: Tensor): Tensor {
  const values = others.floats.slice()
  values.set(images.floats.subarray(0, values.length / images.dims[0]!))
  return Tensor.float32(images.dims, values)
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
