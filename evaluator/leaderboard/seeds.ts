import type { Entry } from '../../manifests/schema/leaderboard.ts'

/**
 * Models by the recipe that they were trained by: those of one group differ by the seed of their training alone. A model
 * whose manifest names no recipe, or not its seed, is a group by itself.
 */
export function bySeed(entries: readonly Entry[]): Entry[][] {
  const groups = new Map<string, Entry[]>()
  for (const entry of entries) {
    const { sha256, recipe, trainingSeed, branch, architecture } = entry.model
    const key =
      recipe === undefined || trainingSeed === undefined
        ? sha256
        : JSON.stringify([recipe, branch, architecture])
    groups.set(key, [...(groups.get(key) ?? []), entry])
  }
  return [...groups.values()]
}

/** Of each recipe the seed that came out in the middle, in the order of the entries: neither the luckiest nor a blend. */
export function middleSeeds(entries: readonly Entry[]): Entry[] {
  const middles = new Set(
    bySeed(entries).map(
      (seeds) => [...seeds].sort((a, b) => a.robust.accuracy - b.robust.accuracy)[(seeds.length - 1) >> 1]!,
    ),
  )
  return entries.filter((entry) => middles.has(entry))
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length
