import { ZooError } from '../../../../manifests/error.ts'
import type { Check } from '../check.ts'
import { error, note, warning } from '../finding.ts'

/** The description contradicts the model's shape. */
const description: Check = ({ described }) =>
  described instanceof ZooError
    ? [error('description', described.message, described.hint ? { hint: described.hint } : {})]
    : []

/** The commonest fault of all: images that are normalised twice, or not at all, or in the wrong range. */
const doubleNormalisation: Check = ({ guess, options: { input } }) => {
  const own = guess?.ownNormalisation
  if (!own || !(input?.mean || input?.std)) return []
  return [
    warning(
      'double-normalisation',
      'the model normalises its images itself, and mean and std are given as well',
      {
        nodes: own.nodes,
        hint: 'leave out --mean and --std, unless it was trained so',
      },
    ),
  ]
}

const range: Check = ({ guess, options: { input } }) => {
  if (!guess?.range || !input) return []
  const [low, high] = guess.range.value
  return input.range[0] === low && input.range[1] === high
    ? []
    : [
        warning(
          'range',
          `the model seems to want images in [${low}, ${high}] (${guess.range.because}), not in [${input.range}]`,
          { hint: 'see how its training code loads images; --range LO,HI' },
        ),
      ]
}

const layout: Check = ({ guess, options: { input } }) =>
  guess?.layout && input && guess.layout.value !== input.layout
    ? [
        warning(
          'layout',
          `the model seems to want the layout ${guess.layout.value} (${guess.layout.because}), not ${input.layout}`,
          { hint: `--layout ${guess.layout.value}` },
        ),
      ]
    : []

/** Nobody can tell from such a file what its images should look like. */
const unknownNormalisation: Check = ({ guess, options: { input } }) =>
  !guess || guess.range || input
    ? []
    : [
        warning('unknown-normalisation', 'nothing in the file tells how its images are normalised', {
          hint: 'give --range, --mean and --std as its training code has them; without, images in [0,1] go in as they are',
        }),
      ]

const ownNormalisation: Check = ({ guess }) =>
  guess?.ownNormalisation
    ? [
        note('own-normalisation', 'the graph normalises its images itself', {
          nodes: guess.ownNormalisation.nodes,
          hint: 'give no --mean and --std',
        }),
      ]
    : []

export const imageChecks: readonly Check[] = [
  description,
  doubleNormalisation,
  range,
  layout,
  unknownNormalisation,
  ownNormalisation,
]
