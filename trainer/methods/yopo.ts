import { GraphBuilder } from '../../converters/onnx/builder.ts'
import type { Graph } from '../../converters/onnx/graph.ts'
import { prune } from '../../converters/onnx/prune.ts'
import { Tensor } from '../../converters/onnx/tensor.ts'
import { NORMS } from '../../converters/perturb/norms.ts'
import { pgdStep, rowOf } from '../../converters/perturb/pgd.ts'
import { ZooError } from '../../manifests/error.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { extended } from '../losses.ts'
import { runningStatistics } from '../resnet/statistics.ts'
import { accuracyOf, type Figures, type Method, meanOf, objectives, stepKey, targetsOf } from './method.ts'

/**
 * You only propagate once (Zhang et al. 2019): m full passes for each batch, each followed by n steps of the images that
 * see the rest of the network only through p, the loss's gradient to the first convolution's result, held fixed.
 * The m passes' weight gradients are averaged into one step.
 */
export const yopo: Method<Extract<MethodSpec, { name: 'yopo' }>> = (spec, context) => {
  const { network, engine } = context
  const { adversarial } = objectives(context)
  const first = firstConvolution(adversarial.inference.graph)
  const layer = runningStatistics(projected(adversarial.inference.graph, first))
  const norm = NORMS[spec.norm]
  return async (batch) => {
    const { images, labels, examples } = batch
    const size = images.size / images.dims[0]!
    const target = targetsOf(labels, network.classes, context.labelSmoothing)
    const balls = { norm, origin: images.floats, eps: spec.eps, size }
    const x = images.floats.slice()
    for (const [row, example] of examples.entries()) {
      const key = [...stepKey(context, batch), example]
      norm.sample(rowOf(x, row, size), rowOf(images.floats, row, size), spec.eps, key)
      norm.project(rowOf(x, row, size), rowOf(images.floats, row, size), spec.eps)
    }
    let figures: Figures = {}
    for (let pass = 0; pass < spec.passes; pass++) {
      const { outputs, gradients } = await engine.accumulate(
        context.trained(adversarial),
        { image: Tensor.float32(images.dims, x.slice()), target },
        { of: 'loss', weight: 1 / spec.passes, withRespectTo: [first] },
      )
      figures = { loss: meanOf(outputs.loss!), accuracy: accuracyOf(outputs.logits!, labels) }
      for (let i = 0; i < spec.innerSteps; i++) {
        const feeds = { image: Tensor.float32(images.dims, x), p: gradients[first]! }
        const inner = await engine.gradient(layer, feeds, { of: 'product', withRespectTo: ['image'] })
        pgdStep(x, inner.gradients.image!.floats, balls, spec.step)
      }
    }
    await context.update()
    return figures
  }
}

function firstConvolution(graph: Graph): string {
  const node = graph.nodes.find(({ opType }) => opType === 'Conv')
  if (!node) throw new ZooError('unsupported-model', 'YOPO needs a network that begins with a convolution')
  return node.outputs[0]!
}

/** The graph up to a value, and the value's product with the input `p` of its shape, summed for each example. */
function projected(network: Graph, value: string): Graph {
  const graph = extended(network)
  const b = new GraphBuilder(graph)
  const flat = b.op('Flatten', [b.op('Mul', [value, 'p'])])
  b.ops('ReduceSum', [flat, b.int64s([1])], { keepdims: 0 }, { outputs: ['product'] })
  const image = graph.inputs.find(({ name }) => name === 'image')!
  graph.inputs = [image, { name: 'p', dtype: 'float32', dims: ['N', null, null, null] }]
  graph.outputs = [{ name: 'product', dtype: 'float32', dims: ['N'] }]
  return prune(graph)
}
