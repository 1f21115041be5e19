import { ZooError } from '../../../../manifests/error.ts'
import type { Check } from '../check.ts'
import { error, note, warning } from '../finding.ts'
import type { Trial } from '../trial.ts'

/** Differences up to this come from rounding, of values and in quantised models. */
const ROUNDING = 1e-3

const percent = (share: number): string => `${(share * 100).toPrecision(2)} %`

/** Comparisons mean something only where the same images give the same numbers. */
const repeatable = (trial: Trial): boolean => trial.finite && trial.repeated <= ROUNDING

/** The prepared model must be the file's own function. */
const sameFunction: Check = ({ trial }) =>
  trial && repeatable(trial) && trial.difference !== undefined && !(trial.difference <= ROUNDING)
    ? [
        (trial.difference <= 0.05 ? warning : error)(
          'same-function',
          `prepared for attacks, the model's scores differ from the file's by ${percent(trial.difference)}`,
          { hint: 'what is broken in one may stand in the other; please report this model' },
        ),
      ]
    : []

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
