import { linf } from '../../converters/perturb/linf.ts'
import type { Oracle, Query, Task } from '../attacks/attack.ts'
import { predict } from '../attacks/attack.ts'
import { type PgdOptions, pgd } from '../attacks/pgd.ts'
import type { Protocol } from './plan.ts'

/** Passes over the same images that a deterministic model answers alike (as AutoAttack's check). */
const PASSES = 5
/** A radius at which every image can become every other, more or less. */
const LARGE_EPS = 0.5
const STEPS = 20

/**
 * Measurements behind the warning flags, on a few images:
 * 1. `passesDiffer`: the largest L2 difference between normalised logits of repeated passes
 * 2. `probabilities`: 1 where every output is a distribution
 * 3. `zeroGradients`: images whose margin has no gradient at all
 * 4. `oneStep`, `steps`, `twiceSteps`: images that stand after FGSM, PGD-20 and PGD-40 from the same random start
 * 5. `largeEps`: images that stand after PGD-20 at eps 0.5, in Linf
 *
 * 3 to 5 count only images that are classified correctly, `correct` in number, and need gradients.
 */
export async function runChecks(
  task: Task,
  oracle: Oracle,
  protocol: Protocol,
): Promise<Record<string, number>> {
  const clean = task.examples.map((example): Query => ({ example, x: example.origin }))
  const passes: Float32Array[][] = []
  for (let pass = 0; pass < PASSES; pass++) passes.push(await oracle.logits(clean))
  const logits = passes[0]!
  const correct = task.examples.filter(({ label }, i) => predict(logits[i]!) === label)
  const findings: Record<string, number> = {
    passesDiffer: Math.max(...passes.slice(1).map((other) => largestDifference(logits, other))),
    probabilities: Number(logits.every(isDistribution)),
    correct: correct.length,
  }
  if (!protocol.gradients || correct.length === 0) return findings

  const slopes = await oracle.gradients(
    correct.map((example) => ({ example, x: example.origin })),
    'margin',
  )
  findings.zeroGradients = slopes.filter(({ gradient }) => gradient.every((slope) => slope === 0)).length
  const own = { ...task, examples: correct }
  const large = { ...task, norm: linf, examples: correct.map((example) => ({ ...example, eps: LARGE_EPS })) }
  findings.oneStep = await countStanding(own, oracle, { iterations: [1], step: 1, start: 'clean' })
  findings.steps = await countStanding(own, oracle, {})
  findings.twiceSteps = await countStanding(own, oracle, { iterations: [2 * STEPS] })
  findings.largeEps = await countStanding(large, oracle, { step: 0.1 })
  return findings
}

/** Runs PGD on the task and counts the examples that no iterate misled, by the attack's own view. */
async function countStanding(task: Task, oracle: Oracle, options: Partial<PgdOptions>): Promise<number> {
  let broken = 0
  const counting: Oracle = {
    ...oracle,
    async submit(queries) {
      broken += queries.length
      return queries.map(() => true)
    },
  }
  const defaults: PgdOptions = {
    loss: 'margin',
    iterations: [STEPS],
    step: 0.25,
    schedule: 'constant',
    start: 'random',
    momentum: 0,
    score: 'any',
  }
  await pgd({ ...defaults, ...options })(task, counting)
  return task.examples.length - broken
}

function largestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return Math.max(...a.map((logits, i) => distance(unit(logits), unit(b[i]!))))
}

const length = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0))

function unit(values: Float32Array): Float32Array {
  const scale = 1 / (length(values) + 1e-10)
  return values.map((value) => value * scale)
}

const distance = (a: Float32Array, b: Float32Array): number => length(a.map((value, i) => value - b[i]!))

const isDistribution = (values: Float32Array): boolean =>
  values.every((value) => value >= -1e-5 && value <= 1 + 1e-5) &&
  Math.abs(values.reduce((sum, value) => sum + value, 0) - 1) < 1e-5
