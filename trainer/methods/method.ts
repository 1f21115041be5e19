import { Tensor } from '../../converters/onnx/tensor.ts'
import { type Key, keyOf } from '../../converters/perturb/random.ts'
import { ZooError } from '../../manifests/error.ts'
import type { TrainingAttack } from '../../manifests/schema/recipe.ts'
import { adversarialImages } from '../adversary.ts'
import type { Engine } from '../engines/engine.ts'
import { crossEntropy } from '../losses.ts'
import { type Network, type Objective, objectiveOf } from '../network.ts'
import type { TrainingForm } from '../resnet/statistics.ts'
import { stepsOf } from '../schedule.ts'

/** Images to train on, augmented; `examples` are their indices in the data set. */
export interface TrainingBatch {
  readonly images: Tensor
  readonly labels: Int32Array
  readonly examples: readonly number[]
  /** Batches before this one since the run began. */
  readonly step: number
}

/** Means over the batch that are worth watching: `loss`, `cleanLoss`, `accuracy` on what was trained on. */
export type Figures = Readonly<Record<string, number>>

/** What a method works with. */
export interface MethodContext {
  readonly network: Network
  readonly engine: Engine
  readonly seed: number
  /** Examples in the training set. */
  readonly examples: number
  readonly stepsPerEpoch: number
  /** The label's share of the training target; the rest is spread over all classes alike. */
  readonly labelSmoothing: number
  /** The form to train on now: by batch statistics, or the inference form under train-consistent batch norm. */
  trained(objective: Objective): TrainingForm
  /** Takes an optimiser step at the schedule's learning rate, once enough batches have been accumulated. */
  update(): Promise<void>
  /** Ends the training after this step; the reason is kept in the run's summary. */
  finish(reason: string): void
  /** What a method remembers between steps, by names of its own; checkpoints keep it. */
  readonly memory: Map<string, Tensor>
}

/** One training step on one batch. */
export type Step = (batch: TrainingBatch) => Promise<Figures>

/** A training method: builds its loss graphs, then is a program over what the engine offers. */
export type Method<Spec> = (spec: Spec, context: MethodContext) => Step | Promise<Step>

const ATTACK = keyOf('attack')

/** The key of a step's random numbers. */
export const stepKey = ({ seed }: MethodContext, { step }: TrainingBatch): Key => [seed, ATTACK, step]

/** The cross-entropy through the branch for adversarial images, and the one for clean images: often the same. */
export function objectives({ network }: MethodContext): { clean: Objective; adversarial: Objective } {
  return {
    clean: objectiveOf(network, network.branches[0]!, crossEntropy),
    adversarial: objectiveOf(network, network.branches.at(-1)!, crossEntropy),
  }
}

/** The attack at this step: whole, or on its way there. */
export function rampedAttack(
  { stepsPerEpoch }: MethodContext,
  { step }: TrainingBatch,
  attack: TrainingAttack,
): TrainingAttack {
  if (!attack.ramp) return attack
  const share = Math.min(1, (step + 1) / Math.max(1, stepsOf(attack.ramp, stepsPerEpoch)))
  return { ...attack, eps: share * attack.eps, step: share * attack.step }
}

/** The batch under attack, through the branch for adversarial images. */
export const attacked = (
  context: MethodContext,
  batch: TrainingBatch,
  attack: TrainingAttack,
): Promise<Tensor> =>
  adversarialImages({
    ...batch,
    engine: context.engine,
    form: objectives(context).adversarial.inference,
    attack: rampedAttack(context, batch, attack),
    classes: context.network.classes,
    key: stepKey(context, batch),
  })

/**
 * One-hot targets [N, classes], smoothed by `smoothing` (Szegedy et al. 2016).
 *
 * @throws ZooError `invalid-data` for a label that is no class of the network
 */
export function targetsOf(labels: Int32Array, classes: number, smoothing = 0): Tensor {
  const values = new Float32Array(labels.length * classes).fill(smoothing / classes)
  labels.forEach((label, row) => {
    if (label < 0 || label >= classes)
      throw new ZooError('invalid-data', `the data has label ${label}, and the network ${classes} classes`)
    values[row * classes + label]! += 1 - smoothing
  })
  return Tensor.float32([labels.length, classes], values)
}

/** Softmax of logits [N, classes]. */
export function probabilities(logits: Tensor): Tensor {
  const classes = logits.dims[1]!
  const values = logits.floats.slice()
  for (let begin = 0; begin < values.length; begin += classes) {
    const row = values.subarray(begin, begin + classes)
    const most = row.reduce((largest, value) => Math.max(largest, value), Number.NEGATIVE_INFINITY)
    let sum = 0
    for (const [k, value] of row.entries()) {
      row[k] = Math.exp(value - most)
      sum += row[k]!
    }
    for (const [k, value] of row.entries()) row[k] = value / sum
  }
  return Tensor.float32(logits.dims, values)
}

/** The class with the largest logit in each row; a tie goes to the lower class. */
export function predictions(logits: Tensor): Int32Array {
  const [rows, classes] = logits.dims as [number, number]
  const values = logits.floats
  return Int32Array.from({ length: rows }, (_, row) => {
    let best = 0
    for (let k = 1; k < classes; k++) if (values[row * classes + k]! > values[row * classes + best]!) best = k
    return best
  })
}

/** Share of rows whose largest logit is the label's. */
export function accuracyOf(logits: Tensor, labels: Int32Array): number {
  const right = predictions(logits).filter((prediction, row) => prediction === labels[row])
  return right.length / labels.length
}

export const meanOf = (tensor: Tensor): number =>
  tensor.floats.reduce((sum, value) => sum + value, 0) / tensor.size

/** The first `count` rows of a batch of images. */
export function firstRows(images: Tensor, count: number): Tensor {
  const [, ...rest] = images.dims
  const size = images.size / images.dims[0]!
  return Tensor.float32([count, ...rest], images.floats.subarray(0, count * size))
}

/** Two batches of images, one after the other. */
export function joined(a: Tensor, b: Tensor): Tensor {
  const values = new Float32Array(a.size + b.size)
  values.set(a.floats)
  values.set(b.floats, a.size)
  return Tensor.float32([a.dims[0]! + b.dims[0]!, ...a.dims.slice(1)], values)
}
