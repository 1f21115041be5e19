import { prepareClassifier } from '../../converters/onnx/classifier.ts'
import { readModel } from '../../converters/onnx/file.ts'
import type { Graph } from '../../converters/onnx/graph.ts'
import { normalise } from '../../converters/onnx/normalise.ts'
import { integers, keyOf } from '../../converters/perturb/random.ts'
import { ZooError } from '../../manifests/error.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { adversarialImages } from '../adversary.ts'
import { composed, instantiate } from '../compose.ts'
import { crossEntropy } from '../losses.ts'
import type { Network } from '../network.ts'
import { runningStatistics, type TrainingForm } from '../resnet/statistics.ts'
import { type Method, objectives, stepKey } from './method.ts'
import { trainOnMixture } from './pgd-at.ts'

const SOURCE = keyOf('source')

/**
 * Ensemble adversarial training (Tramèr et al. 2018): each batch is perturbed by one step on a network drawn from the one
 * in training and static ones trained before, and trained on beside its clean images.
 */
export const ensembleAt: Method<Extract<MethodSpec, { name: 'ensemble-at' }>> = async (spec, context) => {
  const { network, engine } = context
  const statics = await Promise.all(spec.sources.map((path, i) => sourceForm(path, `source${i}:`, network)))
  const forms = [objectives(context).adversarial.inference, ...statics]
  const attack = {
    ...spec,
    step: spec.eps,
    steps: 1,
    start: 'image',
    imageStart: 0,
    targeted: false,
  } as const
  return async (batch) => {
    const key = stepKey(context, batch)
    const form = forms[integers([...key, SOURCE], 1, forms.length)[0]!]!
    const attacked = await adversarialImages({
      ...batch,
      engine,
      form,
      attack,
      classes: network.classes,
      key,
    })
    const figures = await trainOnMixture(context, batch, attacked, spec)
    await context.update()
    return figures
  }
}

/** A model file as a cross-entropy graph from `image`. Its weights get names that no network in training has. */
async function sourceForm(path: string, prefix: string, network: Network): Promise<TrainingForm> {
  const classifier = await prepareClassifier(normalise(await readModel(path)))
  const { graph } = classifier.model
  if (classifier.classes !== network.classes)
    throw new ZooError(
      'invalid-manifest',
      `${path} has ${classifier.classes} classes, not ${network.classes}`,
    )
  const initializers = new Map([...graph.initializers].map(([name, tensor]) => [`${prefix}${name}`, tensor]))
  const own = (name: string): string => (graph.initializers.has(name) ? `${prefix}${name}` : name)
  const renamed: Graph = {
    ...graph,
    initializers,
    nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(own) })),
  }
  const form = composed('source', (builder, graph) => {
    graph.inputs.push({ name: 'image', dtype: 'float32', dims: ['N', ...network.shape] })
    const instance = instantiate(builder, runningStatistics(renamed), prefix, { [classifier.image]: 'image' })
    builder.ops('Identity', [instance.value('logits')], {}, { outputs: ['logits'] })
    graph.outputs.push({ name: 'logits', dtype: 'float32', dims: ['N', network.classes] })
    return [instance]
  })
  return runningStatistics(crossEntropy(form.graph))
}
