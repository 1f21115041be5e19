import { z } from 'zod'
import { nameSchema } from './model.ts'

/** A number, or a fraction such as "8/255": epsilons and steps are written as the field writes them. */
const fraction = z.union([
  z.number().nonnegative(),
  z
    .string()
    .regex(/^\d+(\.\d+)?\/[1-9]\d*(\.\d+)?$/, 'a number or a fraction such as "8/255"')
    .transform((text) => {
      const [above, below] = text.split('/').map(Number)
      return above! / below!
    }),
])

/** A stretch of training: whole or part epochs, or optimiser steps. */
const duration = z.union([
  z.strictObject({ epochs: z.number().nonnegative() }),
  z.strictObject({ steps: z.int().nonnegative() }),
])
export type Duration = z.infer<typeof duration>

/** The adversary inside training. Lengths are fractions of [0,1] in the norm's own units. */
export const trainingAttackSchema = z.strictObject({
  norm: z.enum(['linf', 'l2', 'l1']).default('linf'),
  eps: fraction,
  step: fraction,
  steps: z.int().positive(),
  /** Where the first step starts: anywhere in the ball, or at the image. */
  start: z.enum(['random', 'image']).default('random'),
  /** Probability that a whole batch starts at its images although `start` is random (Xie & Yuille: 0.2). */
  imageStart: z.number().min(0).max(1).default(0),
  /** Descends on a wrong class, drawn uniformly for each image, instead of ascending on the true one. */
  targeted: z.boolean().default(false),
})
export type TrainingAttack = z.infer<typeof trainingAttackSchema>

export const normSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('batch') }),
  z.strictObject({
    kind: z.literal('mixture'),
    /** What clean and adversarial mini-batches keep apart; less than `both` is for ablation. */
    separate: z.enum(['both', 'statistics', 'affine']).default('both'),
  }),
  z.strictObject({ kind: z.literal('group'), groups: z.int().positive().default(32) }),
  z.strictObject({ kind: z.literal('instance') }),
  z.strictObject({ kind: z.literal('none') }),
])
export type NormSpec = z.infer<typeof normSchema>

export const resnetSchema = z.strictObject({
  family: z.literal('resnet'),
  /** `imagenet`: 7x7 stem, max pool, four stages; `small`: 3x3 stem, three stages (He et al. 2016, section 4.2). */
  form: z.enum(['imagenet', 'small']),
  depth: z.int().positive(),
  block: z.enum(['basic', 'bottleneck']).default('basic'),
  /** Channels of the first stage's 3x3 convolutions. */
  width: z.int().positive(),
  /** Stride of the small form's stem. */
  stemStride: z.union([z.literal(1), z.literal(2)]).default(1),
  /** TensorFlow's SAME, which pads asymmetrically where sizes are even, or PyTorch's symmetric padding. */
  padding: z.enum(['same', 'symmetric']).default('symmetric'),
  norm: normSchema.default({ kind: 'batch' }),
  activation: z.enum(['relu', 'silu', 'softplus']).default('relu'),
  /** Feature denoising after each stage (Xie et al. 2019). */
  denoising: z.enum(['dot', 'gaussian']).optional(),
  /** Applied to the image in [0,1] inside the graph: (image - mean) / std per channel. */
  mean: z.array(z.number()).default([]),
  std: z.array(z.number().positive()).default([]),
})
export type ResNetSpec = z.infer<typeof resnetSchema>

const methods = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('standard') }),
  z.strictObject({
    name: z.literal('pgd-at'),
    attack: trainingAttackSchema,
    /** Clean images trained on beside the adversarial ones, as a share of the batch (Xie & Yuille, Fig. 1). */
    cleanRatio: z.number().min(0).max(1).default(0),
    /** Weights of the two mean losses where they are separate mini-batches (mixture batch norm). */
    cleanWeight: z.number().nonnegative().default(0.5),
    adversarialWeight: z.number().positive().default(0.5),
  }),
])

const scheduleSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('constant') }),
  /** Multiplied by `factor` at each milestone. */
  z.strictObject({ kind: z.literal('step'), milestones: z.array(duration), factor: z.number().positive() }),
  z.strictObject({ kind: z.literal('cosine'), end: z.number().nonnegative().default(0) }),
  /** Straight up from 0 until `peak` (a share of the run), straight down to 0. */
  z.strictObject({ kind: z.literal('cyclic'), peak: z.number().min(0).max(1).default(0.5) }),
])
export type ScheduleSpec = z.infer<typeof scheduleSchema>

export const recipeSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: nameSchema,
  description: z.string().min(1),
  /** Where the recipe comes from: paper, section, or "ours". */
  source: z.string().min(1),
  data: z.strictObject({
    /** As `zoo eval --data` takes it: `mnist:train`, a folder, an .npz. */
    train: z.string().min(1),
    validation: z.string().optional(),
    /** How many classes there are, where the data doesn't say. */
    classes: z.int().min(2).optional(),
    augmentation: z.enum(['none', 'pad-crop', 'pad-crop-flip', 'imagenet']).default('none'),
  }),
  network: resnetSchema,
  method: methods,
  optimiser: z.strictObject({
    learningRate: z.number().positive(),
    momentum: z.number().min(0).max(1).default(0.9),
    nesterov: z.boolean().default(false),
    /** On convolution and classifier kernels only, added to the gradient: d/dw of decay/2 · |w|². */
    weightDecay: z.number().nonnegative().default(0),
    warmUp: z.strictObject({ over: duration, from: z.number().nonnegative().default(0) }).optional(),
    schedule: scheduleSchema,
    /** Batches whose gradients are averaged into one step. */
    accumulate: z.int().positive().default(1),
    /** Decay of an exponential moving average of the weights, which is then what is validated and exported. */
    averaging: z.number().min(0).max(1).optional(),
  }),
  batch: z.int().positive(),
  duration,
  labelSmoothing: z.number().min(0).max(1).default(0),
  batchNorm: z
    .strictObject({
      /** What running statistics keep of themselves at each step. */
      momentum: z.number().min(0).max(1).default(0.9),
      /** Train-consistent batch norm: over the last stretch, training normalises by the frozen running statistics. */
      consistentOver: duration.optional(),
    })
    .prefault({}),
  validation: z
    .strictObject({
      every: duration,
      examples: z.int().positive(),
      attack: trainingAttackSchema,
    })
    .optional(),
  /** Minutes between checkpoints; there is one at the end of each epoch and of the run besides. */
  checkpointMinutes: z.number().positive().default(5),
  seed: z.int().nonnegative().default(0),
  licence: z.string().default('Apache-2.0'),
})
export type Recipe = z.infer<typeof recipeSchema>
export type MethodSpec = Recipe['method']
