import type { Classifier } from '../../converters/onnx/classifier.ts'
import { lossGradient } from '../../converters/onnx/gradient/loss-gradient.ts'
import { ZooError } from '../../manifests/error.ts'
import type { InputDescription } from '../../manifests/schema/input.ts'
import type { EvaluationRequest } from '../request.ts'
import { externalDigest } from './external-digest.ts'
import { classifierAt } from './onnx-model.ts'
import type { Protocol } from './plan.ts'

/**
 * The models that transfer attacks take their gradients from, each with its own way of taking images: that of its
 * manifest, or the attacked model's where it has none.
 *
 * @throws ZooError `unsupported-model` for one that has no gradients, or looks at other images or classes than the attacked model
 */
export async function sourcesOf(
  { sources = {}, provider, input }: EvaluationRequest & { readonly input: InputDescription },
  attacked: Classifier,
): Promise<Protocol['sources']> {
  const described: Protocol['sources'] = {}
  for (const [name, { path, sha256, manifest }] of Object.entries(sources)) {
    const own = { input: manifest?.input ?? input, outputKind: manifest?.output ?? ('auto' as const) }
    const classifier = await classifierAt(path, own)
    const takes = ({ shape, classes }: Classifier, offset: number) =>
      `images of ${shape.join('x')} and ${classes} classes${offset ? `, labels shifted by ${offset}` : ''}`
    const [theirs, ours] = [takes(classifier, own.input.labelOffset), takes(attacked, input.labelOffset)]
    if (theirs !== ours)
      throw new ZooError(
        'unsupported-model',
        `the attacked model takes ${ours}; ${name}, which is to lend its gradients, takes ${theirs}`,
      )
    await lossGradient(classifier, { loss: 'ce', provider })
    const externalData = await externalDigest(path)
    described[name] = { sha256, ...(externalData !== undefined && { externalData }), ...own }
  }
  return described
}
