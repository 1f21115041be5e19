import { ZooError } from '../../../manifests/error.ts'
import type { Classifier } from '../classifier.ts'
import type { Model } from '../graph.ts'
import { prune } from '../prune.ts'
import { claimName } from '../rename.ts'
import type { Provider } from '../runtime/session.ts'
import { poolBeforeRelu } from './commute.ts'
import { differentiate, gradientName } from './differentiate.ts'
import { appendLoss, type Loss } from './losses.ts'
import type { Override } from './overrides.ts'
import type { ProbeOptions } from './probe.ts'
import { resolve } from './resolve.ts'

export interface LossGradientOptions {
  readonly loss: Loss
  /** Fixes the batch size; without it the batch axis stays open where the model's is. */
  readonly batch?: number
  /** Added to labels and targets: the model's class is the data set's label plus this. */
  readonly labelOffset?: number
  readonly provider?: Provider
  readonly overrides?: readonly Override[]
  /** Where the model is run to learn its shapes; default: in this process. */
  readonly open?: ProbeOptions['open']
}

/**
 * A model from images and labels to the outputs `logits` [batch, classes], `loss` [batch] (what an attack increases)
 * and `gradient` of the sum of the losses, in the shape of the image input. Its inputs are the classifier's image
 * input and those of the loss: see `LOSSES`.
 *
 * @throws ZooError `unsupported-model` as `differentiate` does; `usage` if the classifier's own batch size is another
 */
export async function lossGradient(classifier: Classifier, options: LossGradientOptions): Promise<Model> {
  const { loss, batch, labelOffset = 0, open, provider, overrides } = options
  if (batch !== undefined && classifier.batch !== null && batch !== classifier.batch)
    throw new ZooError('usage', `the model takes batches of ${classifier.batch}, not of ${batch}`)
  const graph = poolBeforeRelu(classifier.model.graph)
  const extended = {
    ...graph,
    inputs: [...graph.inputs],
    nodes: [...graph.nodes],
    initializers: new Map(graph.initializers),
  }
  const symbol = graph.inputs.find((input) => input.name === classifier.image)!.dims![0]!
  const value = appendLoss(extended, loss, { classes: classifier.classes, batch: symbol, labelOffset })
  extended.outputs = [...graph.outputs, { name: value, dtype: 'float32', dims: [symbol] }]
  const probing = { ...(batch !== undefined && { batch }), ...(open && { open }) }
  const { model, facts } = await resolve({ ...classifier.model, graph: extended }, probing)
  const differentiated = await differentiate(model, {
    of: value,
    withRespectTo: [classifier.image],
    facts,
    ...(provider && { provider }),
    ...(overrides && { overrides }),
  })
  return {
    ...differentiated,
    graph: prune(claimName(differentiated.graph, gradientName(classifier.image), 'gradient')),
  }
}
