import type { DataSet } from '../converters/data/dataset.ts'
import { openChildSession } from '../converters/onnx/runtime/child.ts'
import type { Session } from '../converters/onnx/runtime/session.ts'
import { Tensor } from '../converters/onnx/tensor.ts'
import { NORMS } from '../converters/perturb/norms.ts'
import { rowOf } from '../converters/perturb/pgd.ts'
import { ZooError } from '../manifests/error.ts'
import type { Progress } from '../manifests/progress.ts'
import { predict } from './attacks/attack.ts'
import { ballTolerance } from './protocol/judge.ts'
import { openLedger } from './protocol/ledger.ts'
import { classifierAt } from './protocol/onnx-model.ts'
import { dataOf, type StoredImage, storedImages } from './protocol/stored.ts'
import { walk } from './protocol/walk.ts'

export interface Disagreement {
  readonly index: number
  readonly attack: string
  readonly recorded: number
  /** What the fresh session says, or why the image cannot count. */
  readonly found: number | string
}

export interface ReplayReport {
  readonly images: number
  /** Stored images on which the fresh session disagrees with the ledger. */
  readonly disagreements: Disagreement[]
  /** The same images, each element rounded to the nearest of 256 levels. */
  readonly rounded: {
    /** Still misclassified. */
    readonly broken: number
    /** Classified correctly again. */
    readonly healed: Disagreement[]
  }
}

/** Where model and data are, if no longer where they were evaluated. */
export interface ReplayPlaces {
  readonly model?: string | undefined
  readonly data?: DataSet | undefined
}

/**
 * Runs every stored adversarial image through a fresh session on CPU, as stored and rounded to 8 bits, and compares.
 *
 * @throws ZooError `not-found` for a folder without a finished evaluation, `integrity` where a stored file is damaged
 * or model or data are no longer what was evaluated
 */
export async function replay(
  dir: string,
  progress: Progress,
  places: ReplayPlaces = {},
): Promise<ReplayReport> {
  const ledger = openLedger(dir)
  const plan = await ledger.plan()
  if (!plan) throw new ZooError('not-found', `${dir} holds no evaluation`)
  const { blocks } = await walk(
    plan,
    ledger,
    () => {
      throw new ZooError('not-found', `the evaluation in ${dir} is not finished`, {
        hint: 'run its command again, then replay',
      })
    },
    () => {},
  )
  const data = places.data ?? (await dataOf(plan))
  if (data.sha256 !== plan.protocol.dataset.sha256)
    throw new ZooError('integrity', `${plan.data} is no longer the data that was evaluated`)
  const classifier = await classifierAt(places.model ?? plan.model.path, {
    input: plan.protocol.model.input,
    outputKind: plan.protocol.model.outputKind,
  })
  const session = await openChildSession(classifier.model, { provider: 'cpu' })
  try {
    const units = blocks.flatMap(({ attacks }) => attacks.flat()).filter(({ adversarial }) => adversarial)
    const total = units.reduce((sum, { adversarial }) => sum + adversarial!.rows.length, 0)
    const disagreements: Disagreement[] = []
    const healed: Disagreement[] = []
    let done = 0
    const ask = (images: readonly Float32Array[]) =>
      predictions(session, images, classifier.image, classifier.shape, classifier.batch)
    for (const unit of units) {
      const stored = await storedImages(unit, ledger, data, plan)
      const found = await ask(stored.map(({ image }) => image))
      disagreements.push(
        ...stored.flatMap((image, i) => disagreement(image, found[i]!, plan.protocol.threat.norm)),
      )
      const levels = stored.map(({ image }) => image.map((value) => Math.round(value * 255) / 255))
      const foundRounded = await ask(levels)
      for (const [i, image] of stored.entries())
        if (foundRounded[i] === image.label) healed.push(entry(image, foundRounded[i]!))
      done += stored.length
      progress({ stage: 'replay', done, total, unit: 'images' })
    }
    return { images: total, disagreements, rounded: { broken: total - healed.length, healed } }
  } finally {
    await session.release()
  }
}

const entry = ({ index, unit, prediction }: StoredImage, found: number | string): Disagreement => ({
  index,
  attack: unit.name,
  recorded: prediction,
  found,
})

function disagreement(image: StoredImage, found: number, norm: keyof typeof NORMS): Disagreement[] {
  const distance = NORMS[norm].distance(image.image, image.origin)
  if (!(distance <= image.eps + ballTolerance(image.eps)))
    return [entry(image, `outside the ball: ${distance}`)]
  return found === image.prediction && found !== image.label ? [] : [entry(image, found)]
}

async function predictions(
  session: Session,
  images: readonly Float32Array[],
  name: string,
  shape: readonly number[],
  batch: number | null,
): Promise<number[]> {
  const size = shape.reduce((product, extent) => product * extent, 1)
  const rows = batch ?? Math.max(1, Math.min(images.length, Math.floor(4e6 / size)))
  const answers: number[] = []
  for (let from = 0; from < images.length; from += rows) {
    const chunk = images.slice(from, from + rows)
    const used = batch ?? chunk.length
    const x = new Float32Array(used * size)
    for (const [i, image] of chunk.entries()) x.set(image, i * size)
    const { logits } = await session.run({ [name]: Tensor.float32([used, ...shape], x) })
    const classes = logits!.floats.length / used
    for (let i = 0; i < chunk.length; i++) answers.push(predict(rowOf(logits!.floats, i, classes)))
  }
  return answers
}
