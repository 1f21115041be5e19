/** 97.5 % quantile of the normal distribution: intervals are at 95 %. */
const Z = 1.959963984540054

/** Wilson's score interval (1927) for `successes` of `trials`, at 95 %. Of no trials: [0, 1]. */
export function wilson(successes: number, trials: number): [low: number, high: number] {
  if (trials === 0) return [0, 1]
  const share = successes / trials
  const spread = Z ** 2 / trials
  const centre = (share + spread / 2) / (1 + spread)
  const half = (Z / (1 + spread)) * Math.sqrt((share * (1 - share)) / trials + spread / (4 * trials))
  return [
    successes === 0 ? 0 : Math.max(centre - half, 0),
    successes === trials ? 1 : Math.min(centre + half, 1),
  ]
}
