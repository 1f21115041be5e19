import { ZooError } from '../../../../manifests/error.ts'
import type { DataType } from '../../tensor.ts'
import type { Check } from '../check.ts'
import { error, note, warning } from '../finding.ts'
import type { Subject } from '../subject.ts'
import type { Trial } from '../trial.ts'

/** Differences up to this come from rounding, of values and in quantised models. */
const ROUNDING = 1e-3

const percent = (share: number): string => `${(share * 100).toPrecision(2)} %`

/** Comparisons mean something only where the same images give the same numbers. */
const repeatable = (trial: Trial): boolean => trial.finite && trial.repeated <= ROUNDING

/** Rounded values jump by whole steps, and half precision has three digits: more than that is no rounding. */
const COARSE_ROUNDING = 0.05

/** The prepared model must be the file's own function. */
const sameFunction: Check = (subject) => {
  const { trial } = subject
  if (!trial || !repeatable(trial) || trial.difference === undefined) return []
  const allowed = isCoarse(subject) ? COARSE_ROUNDING : ROUNDING
  if (trial.difference <= allowed) return []
  return [
    (trial.difference <= COARSE_ROUNDING ? warning : error)(
      'same-function',
      `prepared for attacks, the model's scores differ from the file's by ${percent(trial.difference)}`,
      { hint: 'what is broken in one may stand in the other; please report this model' },
    ),
  ]
}

function isCoarse(subject: Subject): boolean {
  const types = new Set([...subject.file.graph.initializers.values()].map((tensor) => tensor.dtype))
  return ['float16', 'bfloat16', 'int8', 'uint8'].some((dtype) => types.has(dtype as DataType))
}

const repeats: Check = ({ trial }) =>
  trial?.finite && !repeatable(trial)
    ? [
        warning('random-scores', `the same images gave scores that differ by ${percent(trial.repeated)}`, {
          hint: 'use the battery autoattack-rand, which averages gradients',
        }),
      ]
    : []

const companions: Check = ({ trial }) =>
  trial && repeatable(trial) && trial.companions !== undefined && !(trial.companions <= ROUNDING)
    ? [
        warning(
          'batch-dependent',
          `an image's scores change by ${percent(trial.companions)} with the others in its batch`,
          { hint: 'export the model in evaluation mode; until then results depend on the batch' },
        ),
      ]
    : []

const finite: Check = ({ trial }) =>
  trial && !trial.finite
    ? [error('not-a-number', 'the model gives scores that are not finite numbers, for random images')]
    : []

const gradient: Check = ({ trial, coverage }) => {
  if (!trial || (coverage && coverage.missing.length > 0)) return []
  if (trial.gradient instanceof ZooError) {
    const { message, hint } = trial.gradient
    return [error('gradient', `the model has no gradient: ${message}`, hint ? { hint } : {})]
  }
  const { zeros, images, finite } = trial.gradient
  if (!finite) return [error('gradient', 'the gradient holds values that are not finite numbers')]
  if (zeros === images)
    return [
      warning('vanishing-gradient', 'random images have no gradient at all', {
        hint: 'gradients may be masked: compare with attacks that use none',
      }),
    ]
  return zeros > 0
    ? [note('vanishing-gradient', `${zeros} of ${images} random images have no gradient, others do`)]
    : []
}

export const behaviourChecks: readonly Check[] = [sameFunction, repeats, companions, finite, gradient]
