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

/** A stretch of training: whole or part epochs, or steps, each of one batch. */
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
  /** Where the first step starts: anywhere in the ball, at the image, or a little noise (0.001) away from it. */
  start: z.enum(['random', 'image', 'near']).default('random'),
  /** Probability that a whole batch starts at its images although `start` is random (Xie & Yuille: 0.2). */
  imageStart: z.number().min(0).max(1).default(0),
  /** Over the first stretch of training eps and step grow from 0 in a straight line. */
  ramp: duration.optional(),
  /** Descends on a wrong class, drawn uniformly for each image, instead of ascending on the true one. */
  targeted: z.boolean().default(false),
})
export type TrainingAttack = z.infer<typeof trainingAttackSchema>

/** An attack on something other than labels, which knows no wrong classes. */
const undirected = trainingAttackSchema.extend({ targeted: z.literal(false).default(false) })

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

const norm = z.enum(['linf', 'l2', 'l1']).default('linf')

/** A network that `--from` gives: any classifier that the engine can run. */
const givenSchema = z.strictObject({ family: z.literal('given') })

export const networkSchema = z.discriminatedUnion('family', [resnetSchema, givenSchema])
export type NetworkSpec = z.infer<typeof networkSchema>

/** Clean images beside adversarial ones: see `trainer/methods/pgd-at.ts`. */
const mixture = {
  /** Share of the batch (Xie & Yuille 2020, Fig. 1). */
  cleanRatio: z.number().min(0).max(1).default(0),
  /** Weights of the two mean losses where they are separate mini-batches (mixture batch norm). */
  cleanWeight: z.number().nonnegative().default(0.5),
  adversarialWeight: z.number().positive().default(0.5),
}

/** Methods that take a step of the weights for each batch by themselves; each is explained in `trainer/methods`. */
const plainMethods = [
  z.strictObject({ name: z.literal('standard') }),
  z.strictObject({ name: z.literal('pgd-at'), attack: trainingAttackSchema, ...mixture }),
  z.strictObject({ name: z.literal('fgsm-at'), norm, eps: fraction }),
  z.strictObject({
    name: z.literal('fast-at'),
    norm,
    eps: fraction,
    /** Default: 1.25 eps. */
    step: fraction.optional(),
    /** Training ends when PGD-5 accuracy falls by more than this within an epoch; 0 switches the guard off. */
    guard: z.number().min(0).max(1).default(0.2),
    ...mixture,
  }),
  z.strictObject({
    name: z.literal('free-at'),
    norm,
    eps: fraction,
    step: fraction,
    replays: z.int().positive(),
  }),
  z.strictObject({
    name: z.literal('yopo'),
    norm,
    eps: fraction,
    step: fraction,
    passes: z.int().positive(),
    innerSteps: z.int().positive(),
  }),
  z.strictObject({
    name: z.literal('alp'),
    attack: trainingAttackSchema,
    weight: z.number().nonnegative().default(0.5),
  }),
  z.strictObject({
    name: z.literal('trades'),
    attack: undirected,
    beta: z.number().nonnegative().default(6),
  }),
  z.strictObject({
    name: z.literal('mart'),
    attack: trainingAttackSchema,
    beta: z.number().nonnegative().default(5),
  }),
  z.strictObject({ name: z.literal('advprop'), attack: trainingAttackSchema }),
  z.strictObject({
    name: z.literal('ensemble-at'),
    norm,
    eps: fraction,
    /** .onnx files of networks trained before, on the same images. */
    sources: z.array(z.string()).min(1),
    ...mixture,
    cleanRatio: z.number().min(0).max(1).default(1),
  }),
  z.strictObject({
    name: z.literal('bilateral'),
    norm,
    eps: fraction,
    /** Default: eps. */
    step: fraction.optional(),
    /** The true class's share over that of all others. */
    labelMargin: z.number().positive().default(9),
  }),
  z.strictObject({
    name: z.literal('feature-scattering'),
    norm,
    eps: fraction,
    /** Default: eps. */
    step: fraction.optional(),
    /** Weight of the entropy in the transport distance. */
    regularisation: z.number().positive().default(0.01),
  }),
  z.strictObject({
    name: z.literal('llr'),
    norm,
    eps: fraction,
    step: fraction.default(0.1),
    steps: z.int().positive().default(10),
    ceWeight: z.number().nonnegative().default(2),
    linearity: z.number().nonnegative().default(4),
    slope: z.number().nonnegative().default(1.2),
  }),
  z.strictObject({
    name: z.literal('iaat'),
    /** Its eps and step are where every image's own begin. */
    attack: undirected.omit({ ramp: true }).extend({
      eps: fraction.refine((eps) => eps > 0, 'budgets that begin at 0 have no steps'),
    }),
    gamma: fraction,
    warmUpEpochs: z.number().nonnegative().default(5),
    smoothing: z.number().min(0).max(1).default(0.9),
    ...mixture,
  }),
] as const

export const methodSchema = z.discriminatedUnion('name', [
  ...plainMethods,
  z.strictObject({
    name: z.literal('awp'),
    /** Size of the weights' perturbation, as a share of each kernel's norm. */
    gamma: z.number().positive().default(0.01),
    method: z.discriminatedUnion('name', plainMethods),
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

const recipeObject = z.strictObject({
  schemaVersion: z.literal(1),
  name: nameSchema,
  description: z.string().min(1),
  /** Where the recipe comes from: paper, section, or "ours". */
  source: z.string().min(1),
  data: z.strictObject({
    /** As `zoo eval --data` takes it (`mnist:train`, a folder, an .npz), or a folder with one of photos for each class. */
    train: z.string().min(1),
    validation: z.string().optional(),
    /** Height and width of the images, where the data is a folder with a folder of photos for each class. */
    size: z.tuple([z.int().positive(), z.int().positive()]).default([224, 224]),
    /** How many classes there are, where the data doesn't say. */
    classes: z.int().min(2).optional(),
    augmentation: z.enum(['none', 'pad-crop', 'pad-crop-flip', 'imagenet']).default('none'),
  }),
  network: networkSchema,
  /** Weights that stay as they are: names, or what they begin with before a `*`. */
  freeze: z.array(z.string()).default([]),
  method: methodSchema,
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
  /** Gradient checkpointing: less memory for one more forward pass; the numbers stay the same. */
  recompute: z.boolean().default(false),
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
      attack: trainingAttackSchema.omit({ ramp: true }),
    })
    .optional(),
  /** Minutes between checkpoints; there is one at the end of each epoch and of the run besides. */
  checkpointMinutes: z.number().positive().default(5),
  seed: z.int().nonnegative().default(0),
  licence: z.string().default('Apache-2.0'),
})

/** Methods that use up the accumulated gradient themselves, so that it cannot gather over batches. */
const UNGATHERED: readonly string[] = ['awp', 'free-at']

/** Methods that always train on clean and on adversarial images, each through its branch where there are two. */
const ON_BOTH: readonly string[] = ['fgsm-at', 'alp', 'trades', 'mart', 'advprop']

/** Whether no branch of a mixture norm would stay as it began and yet be measured and exported. */
function trainsEveryBranch({ network, method }: z.infer<typeof recipeObject>): boolean {
  if (network.family !== 'resnet' || network.norm.kind !== 'mixture') return true
  const inner = method.name === 'awp' ? method.method : method
  return ON_BOTH.includes(inner.name) || ('cleanRatio' in inner && inner.cleanRatio > 0)
}

export const recipeSchema = recipeObject
  .refine(({ method, optimiser }) => optimiser.accumulate === 1 || !UNGATHERED.includes(method.name), {
    path: ['optimiser', 'accumulate'],
    error: 'this method steps on every batch: accumulate must be 1',
  })
  .refine(trainsEveryBranch, {
    path: ['network', 'norm'],
    error:
      'this method would leave a branch of the mixture norm as it began: give it a cleanRatio, or take another norm',
  })
export type Recipe = z.infer<typeof recipeSchema>
export type MethodSpec = Recipe['method']
