import { integers, keyOf } from '../../converters/perturb/random.ts'

/** Outcomes of two models on the same images, image by image: true is correct. */
export interface Paired {
  readonly a: readonly boolean[]
  readonly b: readonly boolean[]
}

/** Images that only a, and only b gets right. */
export function discordant({ a, b }: Paired): { won: number; lost: number } {
  let won = 0
  let lost = 0
  for (let i = 0; i < a.length; i++) {
    if (a[i] && !b[i]) won++
    else if (b[i] && !a[i]) lost++
  }
  return { won, lost }
}

/**
 * McNemar's test (1947), exact and two-sided: the probability, were the two models equally good, of splitting the
 * images that only one of them gets right at least as unevenly as `won` to `lost`.
 */
export const mcnemar = (won: number, lost: number): number =>
  Math.min(1, 2 * binomialTail(Math.min(won, lost), won + lost))

/** Probability of at most k heads in n throws of a fair coin. Summed from the largest term down, in logarithms. */
function binomialTail(k: number, n: number): number {
  let logTerm = -n * Math.LN2
  for (let i = 1; i <= k; i++) logTerm += Math.log((n - i + 1) / i)
  let sum = 0
  let term = 1
  for (let i = k; i >= 0; i--) {
    sum += term
    term *= i / (n - i + 1)
  }
  return Math.exp(logTerm) * sum
}

const RESAMPLES = 2000
const BOOTSTRAP = keyOf('bootstrap')

/**
 * The difference in accuracy, a minus b, with its 95 % interval by the percentile bootstrap over images (Efron 1979).
 * Resampling is keyed, so the same outcomes give the same interval.
 */
export function accuracyDifference({ a, b }: Paired): { difference: number; interval: [number, number] } {
  const size = a.length
  if (size === 0) return { difference: 0, interval: [-1, 1] }
  const gains = a.map((correct, i) => Number(correct) - Number(b[i]))
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / size
  const means = Array.from({ length: RESAMPLES }, (_, draw) => {
    let sum = 0
    for (const i of integers([BOOTSTRAP, draw], size, size)) sum += gains[i]!
    return sum / size
  }).sort((p, q) => p - q)
  return {
    difference: mean(gains),
    interval: [means[Math.floor(0.025 * RESAMPLES)]!, means[Math.ceil(0.975 * RESAMPLES) - 1]!],
  }
}
