import { Tensor } from '../../converters/onnx/tensor.ts'
import { NORMS } from '../../converters/perturb/norms.ts'
import { rowOf } from '../../converters/perturb/pgd.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { composed, instantiate } from '../compose.ts'
import { crossEntropyOf } from '../losses.ts'
import type { Network } from '../network.ts'
import { batchStatistics, runningStatistics, type TrainingForm } from '../resnet/statistics.ts'
import {
  accuracyOf,
  type Method,
  type MethodContext,
  meanOf,
  objectives,
  stepKey,
  type TrainingBatch,
  targetsOf,
} from './method.ts'

type Spec = Extract<MethodSpec, { name: 'llr' }>

/** How far along the perturbation the directional derivative looks. */
const H = 0.1

/**
 * Local linearity regularisation (Qin et al. 2019): min ceWeight · L(x) + linearity · |L(x+d) - L(x) - d·∇L(x)|
 * + slope · |d·∇L(x)|, with the d in the ball for which the loss is least linear, found by Adam.
 * d·∇L(x) is the central difference (L(x + h·d) - L(x - h·d)) / 2h in the loss, so that its gradient to the weights
 * needs first derivatives only, which every engine has. Meant for smooth activations.
 */
export const llr: Method<Spec> = (spec, context) => {
  const { network, engine } = context
  const objective = {
    inference: linearity(network, spec, runningStatistics),
    training: linearity(network, spec, batchStatistics),
  }
  return async (batch) => {
    const { images, labels } = batch
    const target = targetsOf(labels, network.classes, context.labelSmoothing)
    const d = await leastLinear(context, batch, target, spec)
    const along = (share: number): Tensor =>
      Tensor.float32(
        images.dims,
        images.floats.map((value, i) => value + share * d[i]!),
      )
    const feeds = { image: images, perturbed: along(1), ahead: along(H), behind: along(-H), target }
    const form = context.trained(objective)
    const { outputs } = await engine.accumulate(form, feeds, { of: 'loss', weight: 1 })
    await context.update()
    return { loss: meanOf(outputs.loss!), accuracy: accuracyOf(outputs.logits!, labels) }
  }
}

/** The objective; only the pass over the images themselves moves running statistics. */
function linearity(network: Network, spec: Spec, formOf: typeof batchStatistics): TrainingForm {
  const trained = formOf(network.graph(network.branches.at(-1)!))
  const still = { ...trained, statistics: [] }
  return composed('llr', (b, graph) => {
    const image = { dtype: 'float32' as const, dims: ['N', ...network.shape] }
    const scores = { dtype: 'float32' as const, dims: ['N', network.classes] }
    const passes = ['image', 'perturbed', 'ahead', 'behind'].map((name) => {
      graph.inputs.push({ name, ...image })
      return instantiate(b, name === 'image' ? trained : still, `${name}:`, { image: name })
    })
    graph.inputs.push({ name: 'target', ...scores })
    const [here, there, ahead, behind] = passes.map((pass) =>
      crossEntropyOf(b, pass.value('logits'), 'target'),
    ) as [string, string, string, string]
    const slope = b.op('Mul', [b.op('Sub', [ahead, behind]), b.scalar(1 / (2 * H))])
    const bend = b.op('Sub', [b.op('Sub', [there, here]), slope])
    const terms = [
      b.op('Mul', [here, b.scalar(spec.ceWeight)]),
      b.op('Mul', [b.op('Abs', [bend]), b.scalar(spec.linearity)]),
      b.op('Mul', [b.op('Abs', [slope]), b.scalar(spec.slope)]),
    ] as const
    b.ops('Add', [b.op('Add', [terms[0], terms[1]]), terms[2]], {}, { outputs: ['loss'] })
    b.ops('Identity', [passes[0]!.value('logits')], {}, { outputs: ['logits'] })
    graph.outputs.push({ name: 'logits', ...scores }, { name: 'loss', dtype: 'float32', dims: ['N'] })
    return passes
  })
}

const ADAM = { first: 0.9, second: 0.999, epsilon: 1e-8 } as const

/** The perturbation in the ball that maximises |L(x+d) - L(x) - d·∇L(x)|, by Adam with projections. */
async function leastLinear(
  context: MethodContext,
  batch: TrainingBatch,
  target: Tensor,
  spec: Spec,
): Promise<Float32Array> {
  const { engine } = context
  const { images, examples } = batch
  const form = objectives(context).adversarial.inference
  const size = images.size / images.dims[0]!
  const norm = NORMS[spec.norm]
  const gradientAt = async (x: Float32Array) => {
    const feeds = { image: Tensor.float32(images.dims, x), target }
    const { outputs, gradients } = await engine.gradient(form, feeds, {
      of: 'loss',
      withRespectTo: ['image'],
    })
    return { loss: outputs.loss!.floats, gradient: gradients.image!.floats }
  }
  const origin = await gradientAt(images.floats)
  const x = images.floats.slice()
  for (const [row, example] of examples.entries())
    norm.sample(rowOf(x, row, size), rowOf(images.floats, row, size), spec.eps, [
      ...stepKey(context, batch),
      example,
    ])
  const [m, v] = [new Float32Array(x.length), new Float32Array(x.length)]
  for (let step = 1; step <= spec.steps; step++) {
    const there = await gradientAt(x)
    for (const row of examples.keys()) {
      let bend = there.loss[row]! - origin.loss[row]!
      for (let i = row * size; i < (row + 1) * size; i++)
        bend -= (x[i]! - images.floats[i]!) * origin.gradient[i]!
      for (let i = row * size; i < (row + 1) * size; i++) {
        const slope = Math.sign(bend) * (there.gradient[i]! - origin.gradient[i]!)
        m[i] = ADAM.first * m[i]! + (1 - ADAM.first) * slope
        v[i] = ADAM.second * v[i]! + (1 - ADAM.second) * slope * slope
        const mean = m[i]! / (1 - ADAM.first ** step)
        x[i]! += (spec.step * mean) / (Math.sqrt(v[i]! / (1 - ADAM.second ** step)) + ADAM.epsilon)
      }
      norm.project(rowOf(x, row, size), rowOf(images.floats, row, size), spec.eps)
    }
  }
  return x.map((value, i) => value - images.floats[i]!)
}
