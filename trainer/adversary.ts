import { Tensor } from '../converters/onnx/tensor.ts'
import { NORMS } from '../converters/perturb/norms.ts'
import { pgdStep, rowOf } from '../converters/perturb/pgd.ts'
import { integers, type Key, keyOf, uniforms } from '../converters/perturb/random.ts'
import type { TrainingAttack } from '../manifests/schema/recipe.ts'
import type { Engine } from './engines/engine.ts'
import { targetsOf } from './methods/method.ts'
import type { TrainingForm } from './resnet/statistics.ts'

export interface AttackRequest {
  readonly engine: Engine
  /** A cross-entropy graph in its inference form: attacks never touch running statistics. */
  readonly form: TrainingForm
  readonly attack: TrainingAttack
  /** [N, C, H, W] in [0,1]. */
  readonly images: Tensor
  readonly labels: Int32Array
  readonly examples: readonly number[]
  readonly classes: number
  readonly key: Key
}

const START = keyOf('start')
const COIN = keyOf('coin')
const TARGET = keyOf('target')

/**
 * Projected gradient descent on the images (Madry et al. 2018), shared by the methods: ascends the cross-entropy of the
 * labels or, targeted, descends that of wrong classes drawn uniformly. Random starts are not cut to [0,1]; every step is.
 */
export async function adversarialImages(request: AttackRequest): Promise<Tensor> {
  const { engine, form, attack, images, classes } = request
  const aims = attack.targeted ? wrongClasses(request) : request.labels
  const target = targetsOf(aims, classes)
  const step = attack.targeted ? -attack.step : attack.step
  const size = images.size / images.dims[0]!
  const balls = { norm: NORMS[attack.norm], origin: images.floats, eps: attack.eps, size }
  const x = startingPoints(request, size)
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

function startingPoints({ attack, images, examples, key }: AttackRequest, size: number): Float32Array {
  const x = images.floats.slice()
  const atImages = attack.start === 'image' || uniforms([...key, COIN], 1)[0]! < attack.imageStart
  if (atImages) return x
  const norm = NORMS[attack.norm]
  examples.forEach((example, row) => {
    norm.sample(rowOf(x, row, size), rowOf(images.floats, row, size), attack.eps, [...key, START, example])
  })
  return x
}

/** For each image a class other than its label. */
function wrongClasses({ labels, examples, classes, key }: AttackRequest): Int32Array {
  return labels.map((label, row) => {
    const shift = 1 + integers([...key, TARGET, examples[row]!], 1, classes - 1)[0]!
    return (label + shift) % classes
  })
}
