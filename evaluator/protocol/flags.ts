import type { Flag } from '../../manifests/schema/result.ts'
import { isBounded } from '../attacks/table.ts'
import { type BlockResults, share, type Tally } from './aggregate.ts'
import type { Protocol } from './plan.ts'
import type { UnitResult } from './unit.ts'

/** Square's gain over gradients that says gradients are hidden, in accuracy (as AutoAttack). */
const SQUARE_GAIN = 0.002
/** Difference between normalised logits of repeated passes (as AutoAttack). */
const PASS_DIFFERENCE = 1e-4

interface Evidence {
  readonly protocol: Protocol
  readonly blocks: readonly BlockResults[]
  readonly checks: UnitResult | null
  readonly tally: Tally
}

/** Reasons to trust the numbers less. Each flag says what was seen. */
export function raiseFlags(evidence: Evidence): Flag[] {
  return [...ofModel(evidence), ...ofChecks(evidence), ...ofAttacks(evidence)]
}

function ofModel({ protocol, tally }: Evidence): Flag[] {
  const flags: Flag[] = []
  const { classes } = protocol
  if (!protocol.gradients)
    flags.push({
      name: 'no-gradients',
      reason:
        `only attacks without gradients were run, since the model has none: ${protocol.gradientsReason}` +
        (protocol.battery.id === 'gradient-free' ? '' : '; the battery gradient-free has more of them'),
    })
  if (classes < 4 && protocol.attacks.some((entry) => 'loss' in entry && entry.loss.endsWith('dlr')))
    flags.push({
      name: 'few-classes',
      reason: `with ${classes} classes ${classes < 3 ? 'neither ratio loss is' : 'the targeted ratio loss is not'} defined; the margin was used instead`,
    })
  if (protocol.logarithm)
    flags.push({
      name: 'probabilities',
      reason:
        'the outputs are probabilities without a final Softmax that could be left out: their logarithm was attacked, and where they saturate, gradients vanish',
    })
  const correct = tally.examples.filter(({ clean }) => clean).length
  const { interval } = share(correct, tally.examples.length)
  if (interval[0] <= 1 / classes && correct / tally.examples.length < 1.5 / classes)
    flags.push({
      name: 'clean-at-chance',
      reason: `unperturbed, ${correct} of ${tally.examples.length} images are classified correctly, hardly more than by chance: check --range, --channels, --mean, --std, --layout and --label-offset`,
    })
  return flags
}

function ofChecks({ checks, protocol: { classes } }: Evidence): Flag[] {
  if (!checks) return []
  const flags: Flag[] = []
  const { passesDiffer, probabilities, correct, zeroGradients, oneStep, steps, twiceSteps, largeEps } =
    checks.findings as Record<string, number>
  const of = `of ${correct} correctly classified images`
  if (passesDiffer! > PASS_DIFFERENCE)
    flags.push({
      name: 'random',
      reason: `the same images gave different outputs (normalised logits differ by ${passesDiffer!.toExponential(1)}): use the battery autoattack-rand`,
    })
  if (probabilities)
    flags.push({
      name: 'probabilities',
      reason:
        'the outputs are probabilities: where they saturate, gradients vanish; give --output-kind if they are not what they seem',
    })
  if (zeroGradients! > 0)
    flags.push({ name: 'zero-gradients', reason: `${zeroGradients} ${of} have no gradient at all` })
  if (oneStep !== undefined && oneStep < steps!)
    flags.push({
      name: 'one-step-beats-iterative',
      reason: `${oneStep} ${of} stand after one step of the gradient's sign, ${steps} after PGD with 20`,
    })
  if (twiceSteps !== undefined && steps! - twiceSteps > Math.max(1, 0.02 * correct!))
    flags.push({
      name: 'more-iterations-help',
      reason: `${steps} ${of} stand after 20 iterations of PGD, ${twiceSteps} after 40: attacks of few iterations have not converged`,
    })
  if (largeEps !== undefined && largeEps > correct! / classes)
    flags.push({
      name: 'unbounded-attack-fails',
      reason: `${largeEps} ${of} stand after PGD with eps 0.5, which can erase any image: gradients are probably hidden`,
    })
  return flags
}

function ofAttacks({ protocol, blocks, tally }: Evidence): Flag[] {
  const flags: Flag[] = []
  const { attacks, columns, examples } = tally
  for (const [n, { name, robustAccuracy }] of attacks.entries()) {
    if (columns[n]!.entry.kind !== 'square' || protocol.battery.aggregation !== 'worst-case' || n === 0)
      continue
    const before = attacks[n - 1]!.robustAccuracy
    if (protocol.gradients && before - robustAccuracy > SQUARE_GAIN + 1e-9)
      flags.push({
        name: 'square-beats-gradients',
        reason: `${name}, which uses no gradient, still broke ${Math.round((before - robustAccuracy) * examples.length)} images after the attacks that do: gradients are probably hidden`,
      })
  }
  for (const [n, entry] of protocol.attacks.entries()) {
    const units = blocks.flatMap((block) => block.attacks[n] ?? [])
    for (const reason of new Set(units.flatMap(({ rejected }) => Object.keys(rejected)))) {
      if (reason === 'outside the ball' && !isBounded(entry)) continue
      const count = units.reduce((sum, { rejected }) => sum + (rejected[reason] ?? 0), 0)
      flags.push({
        name: 'rejected-images',
        reason: `${count} images of ${entry.name} were ${reason} and did not count`,
      })
    }
  }
  const nans = blocks
    .flatMap(({ clean, attacks }) => [clean, ...attacks.flat()])
    .reduce((sum, { nans }) => sum + nans, 0)
  if (nans > 0)
    flags.push({ name: 'nan', reason: `${nans} batches of answers held something that is not a number` })
  return flags
}
