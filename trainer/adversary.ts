import { Tensor } from '../converters/onnx/tensor.ts'
import { NORMS } from '../converters/perturb/norms.ts'
import { at, type PerRow, pgdStep, rowOf } from '../converters/perturb/pgd.ts'
import { integers, type Key, keyOf, normals, uniforms } from '../converters/perturb/random.ts'
import type { TrainingAttack } from '../manifests/schema/recipe.ts'
import type { Engine } from './engines/engine.ts'
import { targetsOf } from './methods/method.ts'
import type { TrainingForm } from './resnet/statistics.ts'

export interface AscentRequest {
  readonly engine: Engine
  /** A cross-entropy graph in its inference form: attacks never touch running statistics. */
  readonly form: TrainingForm
  readonly attack: TrainingAttack
  /** [N, C, H, W] in [0,1]. */
  readonly images: Tensor
  /** The distributions [N, classes] whose cross-entropy is raised, or lowered if `descend`. */
  readonly target: Tensor
  readonly descend?: boolean
  readonly examples: readonly number[]
  /** Instead of the attack's own eps: a budget for each row. Steps shrink and grow with it. */
  readonly eps?: Float32Array
  readonly key: Key
}

export type AttackRequest = Omit<AscentRequest, 'target' | 'descend'> & {
  readonly labels: Int32Array
  readonly classes: number
}

const START = keyOf('start')
const COIN = keyOf('coin')
const TARGET = keyOf('target')

/** Standard deviation of starts near the image (TRADES). */
const NEAR = 0.001

/**
 * Projected gradient descent on the images (Madry et al. 2018), shared by the methods: ascends the cross-entropy of the
 * labels or, targeted, descends that of wrong classes drawn uniformly.
 */
export async function adversarialImages(request: AttackRequest): Promise<Tensor> {
  const { attack, labels, classes } = request
  const aims = attack.targeted ? wrongClasses(request) : labels
  return ascend({ ...request, target: targetsOf(aims, classes), descend: attack.targeted })
}

/** The same towards or away from any distributions. Random starts are not cut to [0,1]; every step is. */
export async function ascend(request: AscentRequest): Promise<Tensor> {
  const { engine, form, attack, images, target } = request
  const size = images.size / images.dims[0]!
  const eps: PerRow = request.eps ?? attack.eps
  const sign = request.descend ? -1 : 1
  const step: PerRow = request.eps
    ? request.eps.map((budget) => (sign * attack.step * budget) / attack.eps)
    : sign * attack.step
  const balls = { norm: NORMS[attack.norm], origin: images.floats, eps, size }
  const x = startingPoints(request, eps, size)
  for (let i = 0; i < attack.steps; i++) {
    const image = Tensor.float32(images.dims, x)
    const { gradients } = await engine.gradient(
      form,
      { image, target },
      { of: 'loss', withRespectTo: ['image'] },
    )
    pgdStep(x, gradients.image!.floats, balls, step)
  }
  return Tensor.float32(images.dims, x)
}

function startingPoints(request: AscentRequest, eps: PerRow, size: number): Float32Array {
  const { attack, images, examples, key } = request
  const x = images.floats.slice()
  const atImages = attack.start === 'image' || uniforms([...key, COIN], 1)[0]! < attack.imageStart
  if (atImages) return x
  const norm = NORMS[attack.norm]
  for (const [row, example] of examples.entries()) {
    const [start, origin] = [rowOf(x, row, size), rowOf(images.floats, row, size)]
    const own = [...key, START, example]
    if (attack.start === 'near')
      for (const [i, noise] of normals(own, size).entries()) start[i]! += NEAR * noise
    else norm.sample(start, origin, at(eps, row), own)
  }
  return x
}

/** For each image a class other than its label. */
function wrongClasses({ labels, examples, classes, key }: AttackRequest): Int32Array {
  return labels.map((label, row) => {
    const shift = 1 + integers([...key, TARGET, examples[row]!], 1, classes - 1)[0]!
    return (label + shift) % classes
  })
}
