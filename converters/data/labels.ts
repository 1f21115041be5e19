import { ZooError } from '../../manifests/error.ts'

export interface LabelRange {
  readonly classes?: number | undefined
  readonly labelOffset?: number | undefined
}

/**
 * Checks that every label (or target) names a class of the model.
 *
 * @throws ZooError `invalid-data` naming the first that doesn't, with the offset that would repair it where one would
 */
export function checkLabelRange(
  labels: Int32Array,
  { classes, labelOffset = 0 }: LabelRange,
  where: (index: number) => string,
): void {
  const most = classes ?? Number.POSITIVE_INFINITY
  const wrong = labels.findIndex((label) => label + labelOffset < 0 || label + labelOffset >= most)
  if (wrong < 0) return
  const label = labels[wrong]!
  const offset = labelOffset === 0 ? '' : ` plus the offset ${labelOffset}`
  throw new ZooError(
    'invalid-data',
    classes === undefined
      ? `${where(wrong)}: ${label}${offset} is negative, and labels count from 0`
      : `${where(wrong)}: ${label}${offset} is no class of a model with ${classes}, which has 0 to ${classes - 1}`,
    { hint: remedy(labels, classes) },
  )
}

function remedy(labels: Int32Array, classes: number | undefined): string {
  let least = Number.POSITIVE_INFINITY
  let most = Number.NEGATIVE_INFINITY
  for (const label of labels) {
    if (label < least) least = label
    if (label > most) most = label
  }
  if (classes !== undefined && most - least < classes && least === 1)
    return 'the labels count from 1: --label-offset -1 makes them count from 0'
  return `the labels run from ${least} to ${most}: correct them, or shift them with --label-offset`
}
