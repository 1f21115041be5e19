import type { DataSet } from '../../converters/data/dataset.ts'
import { prepareClassifier } from '../../converters/onnx/classifier.ts'
import { lossGradient } from '../../converters/onnx/gradient/loss-gradient.ts'
import type { Model } from '../../converters/onnx/graph.ts'
import { openSession } from '../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../converters/onnx/tensor.ts'
import { ZooError } from '../../manifests/error.ts'
import type { Engine } from '../engines/engine.ts'
import { targetsOf } from '../methods/method.ts'
import type { Objective } from '../network.ts'

/** How the exported file, run by onnxruntime, compares with the trainer on real images. */
export interface Parity {
  readonly images: number
  readonly backend: string
  /** Largest and mean difference of logits, relative to the largest logit in size. */
  readonly logits: { readonly largest: number; readonly mean: number }
  /** Images whose largest logit is another class's. */
  readonly otherClass: number
  /** Folded against unfolded, both by onnxruntime: as `logits.largest`. */
  readonly folding: number
  /** L2 distance of the loss's gradients to the images, relative to the trainer's. */
  readonly gradient: number
  readonly tolerance: typeof TOLERANCE
}

/** Gradients of ReLU networks jump where float rounding moves an activation across 0; logits don't. */
const TOLERANCE = { logits: 1e-4, gradient: 5e-3, otherClass: 0 } as const

const BATCH = 64

/** Measures on the first `images` of the data. Both models are graphs from `image` to `logits`. */
export async function measureParity(
  engine: Engine,
  objective: Objective,
  models: { readonly folded: Model; readonly unfolded: Model },
  data: DataSet,
  images = 256,
): Promise<Parity> {
  const classifier = await prepareClassifier(models.folded)
  const gradientModel = await lossGradient(classifier, { loss: 'ce' })
  const sessions = {
    gradient: await openSession(gradientModel),
    folded: await openSession(models.folded),
    unfolded: await openSession(models.unfolded),
  }
  const count = Math.min(images, data.size)
  const found = { largest: 0, sum: 0, scale: 0, folding: 0, otherClass: 0, elements: 0, square: 0, norm: 0 }
  try {
    for (let begin = 0; begin < count; begin += BATCH) {
      const examples = Array.from({ length: Math.min(BATCH, count - begin) }, (_, i) => begin + i)
      const batch = await data.read(examples)
      const image = Tensor.float32([examples.length, ...data.shape], batch.images)
      const label = Tensor.int64([examples.length], Array.from(batch.labels))
      const target = targetsOf(batch.labels, classifier.classes)
      const ours = await engine.gradient(
        objective.inference,
        { image, target },
        { of: 'loss', withRespectTo: ['image'] },
      )
      const trained = ours.outputs.logits!
      const exported = (await sessions.folded.run({ image })).logits!
      const unfolded = (await sessions.unfolded.run({ image })).logits!
      const theirs = await sessions.gradient.run({ image, label })
      trained.floats.forEach((value, i) => {
        const difference = Math.abs(value - exported.floats[i]!)
        found.largest = Math.max(found.largest, difference)
        found.sum += difference
        found.scale = Math.max(found.scale, Math.abs(value))
        found.folding = Math.max(found.folding, Math.abs(unfolded.floats[i]! - exported.floats[i]!))
      })
      found.elements += trained.size
      found.otherClass += otherClasses(trained, exported)
      ours.gradients.image!.floats.forEach((value, i) => {
        found.square += (value - theirs.gradient!.floats[i]!) ** 2
        found.norm += value ** 2
      })
    }
  } finally {
    await Promise.all(Object.values(sessions).map((session) => session.release()))
  }
  return {
    images: count,
    backend: engine.backend,
    logits: { largest: found.largest / found.scale, mean: found.sum / found.elements / found.scale },
    otherClass: found.otherClass,
    folding: found.folding / found.scale,
    gradient: Math.sqrt(found.square / Math.max(found.norm, Number.MIN_VALUE)),
    tolerance: TOLERANCE,
  }
}

/** @throws ZooError `check-failed` naming what differs by more than the tolerance */
export function checkParity(parity: Parity): void {
  const { logits, folding, gradient, otherClass, tolerance } = parity
  const failures = [
    // Written so that a NaN fails.
    ...(logits.largest <= tolerance.logits ? [] : [`logits differ by ${logits.largest.toExponential(1)}`]),
    ...(folding <= tolerance.logits ? [] : [`folding moves logits by ${folding.toExponential(1)}`]),
    ...(gradient <= tolerance.gradient ? [] : [`gradients differ by ${gradient.toExponential(1)}`]),
    ...(otherClass <= tolerance.otherClass ? [] : [`${otherClass} images change class`]),
  ]
  if (failures.length > 0)
    throw new ZooError(
      'check-failed',
      `the exported file doesn't equal the trained network: ${failures.join(', ')}`,
    )
}

function otherClasses(a: Tensor, b: Tensor): number {
  const [rows, classes] = a.dims as [number, number]
  let others = 0
  for (let row = 0; row < rows; row++)
    if (largest(a.floats, row, classes) !== largest(b.floats, row, classes)) others++
  return others
}

function largest(values: Float32Array, row: number, classes: number): number {
  let best = 0
  for (let k = 1; k < classes; k++) if (values[row * classes + k]! > values[row * classes + best]!) best = k
  return best
}
