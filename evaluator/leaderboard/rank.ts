import type { Entry } from '../../manifests/schema/leaderboard.ts'
import { discordant, mcnemar, type Paired } from '../statistics/paired.ts'

type Outcomes = readonly { readonly index: number; readonly robust: boolean }[]

/** Two models differ if a difference as large would come by chance less often than this. */
const SIGNIFICANCE = 0.05

/**
 * The places that each model can claim: from 1 + the models significantly more robust, to all minus those
 * significantly less robust, by McNemar's test of each pair on the images that both were evaluated on.
 */
export function rankIntervals(outcomes: readonly Outcomes[]): Entry['rank'][] {
  const beats = outcomes.map((own) => outcomes.map((other) => isBetter(own, other)))
  return outcomes.map((_, i) => ({
    best: 1 + beats.filter((row) => row[i]).length,
    worst: outcomes.length - beats[i]!.filter(Boolean).length,
  }))
}

function isBetter(own: Outcomes, other: Outcomes): boolean {
  const { won, lost } = discordant(onCommonImages(own, other))
  return won > lost && mcnemar(won, lost) < SIGNIFICANCE
}

/** Robust or not, image by image, on the images that both have. */
export function onCommonImages(a: Outcomes, b: Outcomes): Paired {
  const theirs = new Map(b.map(({ index, robust }) => [index, robust]))
  const common = a.filter(({ index }) => theirs.has(index))
  return { a: common.map(({ robust }) => robust), b: common.map(({ index }) => theirs.get(index)!) }
}
