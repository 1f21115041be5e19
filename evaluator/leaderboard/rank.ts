import type { Entry } from '../../manifests/schema/leaderboard.ts'

type Outcomes = readonly { readonly index: number; readonly robust: boolean }[]

/** Two models differ if a difference as large would come by chance less often than this. */
const SIGNIFICANCE = 0.05

/**
 * The places that each model can claim: 1 + the models significantly more robust, to all minus those
 * significantly less robust, each pair tested on the images that both were evaluated on.
 */
export function rankIntervals(outcomes: readonly Outcomes[]): Entry['rank'][] {
  const better = outcomes.map((own) =>
    outcomes.map((other) => {
      const { won, lost } = discordant(own, other)
      return won > lost && mcnemar(won, lost) < SIGNIFICANCE
    }),
  )
  return outcomes.map((_, i) => ({
    best: 1 + better.filter((row) => row[i]).length,
    worst: outcomes.length - better[i]!.filter(Boolean).length,
  }))
}

/** Images on which only the one, or only the other model is robust. */
function discordant(own: Outcomes, other: Outcomes): { won: number; lost: number } {
  const theirs = new Map(other.map(({ index, robust }) => [index, robust]))
  let [won, lost] = [0, 0]
  for (const { index, robust } of own) {
    const their = theirs.get(index)
    if (their === undefined || their === robust) continue
    if (robust) won++
    else lost++
  }
  return { won, lost }
}

/** McNemar's exact test, two-sided. */
function mcnemar(won: number, lost: number): number {
  const n = won + lost
  let [term, sum] = [-n * Math.LN2, 0]
  for (let k = 0; k <= Math.min(won, lost); k++) {
    sum += Math.exp(term)
    term += Math.log(n - k) - Math.log(k + 1)
  }
  return Math.min(1, 2 * sum)
}
