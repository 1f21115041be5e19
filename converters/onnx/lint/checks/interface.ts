import { ZooError } from '../../../../manifests/error.ts'
import type { Check } from '../check.ts'
import { error, note, warning } from '../finding.ts'

/** What keeps the model from being an image classifier with one score per class. */
const classifier: Check = ({ classifier }) =>
  classifier instanceof ZooError
    ? [error('classifier', classifier.message, classifier.hint ? { hint: classifier.hint } : {})]
    : []

const fixedBatch: Check = ({ classifier }) =>
  classifier === undefined || classifier instanceof ZooError || classifier.batch === null
    ? []
    : [
        note('fixed-batch', `the model takes batches of ${classifier.batch} only`, {
          hint: 'an open batch axis makes the evaluation faster: export with a dynamic one',
        }),
      ]

const severalOutputs: Check = ({ normal, classifier }) =>
  normal instanceof ZooError || classifier instanceof ZooError || normal.graph.outputs.length < 2
    ? []
    : [
        note(
          'several-outputs',
          `the model has ${normal.graph.outputs.length} outputs (${normal.graph.outputs.map(({ name }) => name).join(', ')}); one is evaluated`,
          { hint: 'say which with --output NAME' },
        ),
      ]

/** Probabilities that come from anything but a final Softmax have lost their logits, and in float32 their gradients. */
const probabilities: Check = ({ classifier }) => {
  if (!classifier || classifier instanceof ZooError) return []
  if (classifier.outputKind !== 'probabilities') return []
  return classifier.logarithm
    ? [
        warning('probabilities', 'the model gives probabilities that do not come from a final Softmax', {
          hint: 'where they saturate, gradients vanish; export the logits if you can',
        }),
      ]
    : [note('probabilities', 'the model ends in Softmax; it is attacked at its logits')]
}

export const interfaceChecks: readonly Check[] = [classifier, fixedBatch, severalOutputs, probabilities]
