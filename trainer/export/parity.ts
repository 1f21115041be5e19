import type { DataSet } from '../../converters/data/dataset.ts'
import { prepareClassifier } from '../../converters/onnx/classifier.ts'
import { lossGradient } from '../../converters/onnx/gradient/loss-gradient.ts'
import type { Model } from '../../converters/onnx/graph.ts'
import { openSession } from '../../converters/onnx/runtime/open.ts'
import { sizeOf, Tensor } from '../../converters/onnx/tensor.ts'
import { type Progress, silent } from '../../manifests/progress.ts'
import type { InputDescription } from '../../manifests/schema/input.ts'
import type { Engine } from '../engines/engine.ts'
import { targetsOf } from '../methods/method.ts'
import type { Objective } from '../network.ts'
import { type Difference, differenceOf, squaredDistance } from './difference.ts'

/** How far an exported file may be from the trained network, and still count as the same. */
interface Tolerance {
  /** Largest difference of logits, relative to the largest logit in size. */
  readonly logits: number
  /** L2 distance of gradients, relative. Those of ReLU networks jump where rounding moves an activation across 0. */
  readonly gradient: number
  /** Share of images that may get another class. */
  readonly otherClass: number
}

const TOLERANCES = {
  float32: { logits: 1e-4, gradient: 5e-3, otherClass: 0 },
  // A weight is rounded by up to 2^-11 of itself. ResNets 50 to 152 deep differ by 1e-4 and, in gradients, by 4e-2.
  float16: { logits: 2e-3, gradient: 0.1, otherClass: 0.01 },
} as const satisfies Record<string, Tolerance>

/** How the exported file, run by onnxruntime, compares with the trainer on real images. */
export interface Parity {
  readonly data: string
  readonly images: number
  /** What computed the trainer's side. */
  readonly backend: string
  readonly kernels: keyof typeof TOLERANCES
  /** The exported file's logits against the trainer's. */
  readonly logits: Difference
  /** The folded graph's logits against those before folding; both in float32, by onnxruntime. */
  readonly folding: Difference
  /** L2 distance of the gradients of the loss to the images, relative to the trainer's. */
  readonly gradient: number
  readonly tolerance: Tolerance
  /** What is not within tolerance, in words; empty if all is well. */
  readonly failures: readonly string[]
}

export interface ParityRequest {
  readonly engine: Engine
  readonly objective: Objective
  /** The file's model; and the float32 graph before and after folding, which takes the same input. */
  readonly models: { readonly exported: Model; readonly folded: Model; readonly unfolded: Model }
  readonly kernels: Parity['kernels']
  /** How the models want their images. */
  readonly input: InputDescription
  readonly data: DataSet
  /** Compares on the first so many of the data. */
  readonly images?: number | undefined
  readonly progress?: Progress | undefined
}

interface Batch {
  readonly image: Tensor
  readonly labels: Int32Array
}

const BATCH = 64

/** One model after the other, so that no more than one session and the trainer are open at once. */
export async function measureParity(request: ParityRequest): Promise<Parity> {
  const { engine, models, input, data, kernels, progress = silent } = request
  const images = Math.min(request.images ?? 256, data.size)
  const batch = models.exported.graph.inputs[0]!.dims![0]
  const batches: Batch[] = []
  for (const examples of batchesOf(images, typeof batch === 'number' ? batch : null))
    batches.push(await read(data, examples))

  const prepared = batches.map(({ image }) => preprocessed(image, input))
  const rows = (tensors: readonly Tensor[]): Float32Array => firstRows(tensors, images)
  const exported = rows(await logitsOf(models.exported, prepared))
  const folded = rows(await logitsOf(models.folded, prepared))
  const unfolded = rows(await logitsOf(models.unfolded, prepared))
  const classes = exported.length / images

  const classifier = await prepareClassifier(models.exported, { input, outputKind: 'logits' })
  const session = await openSession(await lossGradient(classifier, { loss: 'ce' }))
  const trained: Tensor[] = []
  const gradient = { distance: 0, norm: 0 }
  try {
    let done = 0
    for (const { image, labels } of batches) {
      const target = targetsOf(labels, classes)
      const ours = await engine.gradient(
        request.objective.inference,
        { image, target },
        { of: 'loss', withRespectTo: ['image'] },
      )
      const theirs = await session.run({ image, label: Tensor.int64([labels.length], Array.from(labels)) })
      trained.push(ours.outputs.logits!)
      const count = Math.min(labels.length, images - done) * sizeOf(data.shape)
      const found = squaredDistance(ours.gradients.image!.floats, theirs.gradient!.floats, count)
      gradient.distance += found.distance
      gradient.norm += found.norm
      done = Math.min(done + labels.length, images)
      progress({ stage: 'compare with the trainer', done, total: images, unit: 'images' })
    }
  } finally {
    await session.release()
  }
  const measured = {
    logits: differenceOf(rows(trained), exported, classes),
    folding: differenceOf(unfolded, folded, classes),
    gradient: Math.sqrt(gradient.distance / Math.max(gradient.norm, Number.MIN_VALUE)),
  }
  const tolerance = TOLERANCES[kernels]
  const failures = failuresOf(measured, tolerance, images)
  return { data: data.name, images, backend: engine.backend, kernels, ...measured, tolerance, failures }
}

/** Indices of the first `images`, in batches; a fixed batch that they don't fill is filled from the start again. */
function* batchesOf(images: number, fixed: number | null): Generator<readonly number[]> {
  const size = fixed ?? BATCH
  for (let begin = 0; begin < images; begin += size)
    yield Array.from({ length: fixed ?? Math.min(size, images - begin) }, (_, i) => (begin + i) % images)
}

async function read(data: DataSet, examples: readonly number[]): Promise<Batch> {
  const { images, labels } = await data.read(examples)
  return { image: Tensor.float32([examples.length, ...data.shape], images), labels }
}

/** Images in [0,1] as the file's description wants them: what the person who uses the file has to do. */
function preprocessed(image: Tensor, { mean = [0], std = [1] }: InputDescription): Tensor {
  const [, channels, height, width] = image.dims as [number, number, number, number]
  const values = image.floats.map((value, i) => {
    const channel = Math.floor(i / (height * width)) % channels
    return (value - mean[channel % mean.length]!) / std[channel % std.length]!
  })
  return Tensor.float32(image.dims, values)
}

async function logitsOf(model: Model, images: readonly Tensor[]): Promise<Tensor[]> {
  const session = await openSession(model)
  try {
    const logits: Tensor[] = []
    for (const image of images) logits.push((await session.run({ image })).logits!)
    return logits
  } finally {
    await session.release()
  }
}

/** Batches one after another, without what fills the last. */
function firstRows(tensors: readonly Tensor[], rows: number): Float32Array {
  const size = tensors[0]!.size / tensors[0]!.dims[0]!
  const values = new Float32Array(rows * size)
  let begin = 0
  for (const { floats } of tensors) {
    values.set(floats.subarray(0, values.length - begin), begin)
    begin += floats.length
  }
  return values
}

function failuresOf(
  { logits, folding, gradient }: Pick<Parity, 'logits' | 'folding' | 'gradient'>,
  tolerance: Tolerance,
  images: number,
): string[] {
  const exact = TOLERANCES.float32
  // Written so that a NaN fails.
  return [
    ...(logits.largest <= tolerance.logits ? [] : [`logits differ by ${logits.largest.toExponential(1)}`]),
    ...(folding.largest <= exact.logits
      ? []
      : [`folding moves logits by ${folding.largest.toExponential(1)}`]),
    ...(gradient <= tolerance.gradient ? [] : [`gradients differ by ${gradient.toExponential(1)}`]),
    ...(logits.otherClass <= tolerance.otherClass * images
      ? []
      : [`${logits.otherClass} of ${images} images get another class`]),
    ...(folding.otherClass <= exact.otherClass * images
      ? []
      : [`folding gives ${folding.otherClass} of ${images} images another class`]),
  ]
}
