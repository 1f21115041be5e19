import type { Entry, Track } from '../../../../manifests/schema/leaderboard.ts'
import { epsText, NORMS, short } from '../../format.ts'
import { middleSeeds } from '../../seeds.ts'
import { against } from './against.ts'
import type { Chart } from './chart.ts'
import { lineChart, type Series } from './lines.ts'
import { scatterChart } from './scatter.ts'

/** Every chart that the track's data can fill, in reading order. `siblings` are all tracks of the board. */
export function trackCharts(track: Track, siblings: readonly Track[]): Chart[] {
  const { entries } = track
  const middles = middleSeeds(entries)
  const note =
    middles.length < entries.length ? ' Of several seeds of one recipe, the one in the middle is drawn.' : ''
  const lines = [
    iterationChart(middles, track),
    budgetChart(middles),
    epsChart({ ...track, entries: middles }, siblings),
  ].map((chart) => chart && { ...chart, text: chart.text + note })
  return [scatterChart(entries), ...lines, depthChart(entries), cleanRatioChart(entries)].filter(
    (chart) => chart !== undefined,
  )
}

/** The paper's PGD curve: accuracy after ever more iterations. Whoever looks at the left end alone may rank wrongly. */
export function iterationChart(
  entries: readonly Entry[],
  { battery }: Pick<Track, 'battery'>,
): Chart | undefined {
  // Only where each attack runs on every image do several lengths of one attack make a curve.
  if (battery.aggregation !== 'each') return undefined
  const series = entries.flatMap(({ model, attacks }): Series[] => {
    const points = attacks
      .flatMap(({ iterations, robustAccuracy, medianNorm }) =>
        iterations === undefined || medianNorm !== undefined
          ? []
          : [{ x: iterations, accuracy: robustAccuracy }],
      )
      .sort((a, b) => a.x - b.x)
    return new Set(points.map(({ x }) => x)).size > 1 ? [{ name: model.name, points }] : []
  })
  if (series.length === 0) return undefined
  const ticks = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b)
  return lineChart(series, {
    title: 'Accuracy against attack iterations',
    text: 'A curve that still falls at its right end has not met its strongest attack yet; where curves cross, a short attack ranks the models wrongly.',
    x: 'Iterations',
    xText: String,
    scale: 'log',
    ticks,
  })
}

/** Robust accuracy against the gradients spent. */
export function budgetChart(entries: readonly Entry[]): Chart | undefined {
  const series = entries
    .filter(({ curve }) => curve.length > 1)
    .map(({ model, curve }) => ({
      name: model.name,
      points: curve.map(({ backwards, accuracy }) => ({ x: backwards, accuracy })),
    }))
  if (series.length === 0) return undefined
  return lineChart(series, {
    title: 'Accuracy against the attack’s budget',
    text: 'Gradients per image spent until then. A flat right end means that more of the same attack would change nothing.',
    x: 'Gradients per image',
    xText: short,
    scale: 'sqrt',
  })
}

/** The same models under the same battery at other radii; 0 is the clean accuracy. */
export function epsChart(track: Track, siblings: readonly Track[]): Chart | undefined {
  if (track.entries.some(({ security }) => security)) return securityChart(track.entries, track)
  const family = siblings.filter(
    ({ dataset, threat, battery }) =>
      dataset.sha256 === track.dataset.sha256 &&
      battery.id === track.battery.id &&
      battery.version === track.battery.version &&
      threat.norm === track.threat.norm &&
      threat.targeted === track.threat.targeted &&
      threat.eps !== null,
  )
  if (family.length < 2) return undefined
  const series = track.entries.map(({ model, clean }): Series => {
    const measured = family.flatMap(({ threat, entries }) => {
      const entry = entries.find((other) => other.model.sha256 === model.sha256)
      return entry ? [{ x: threat.eps!, ...entry.robust }] : []
    })
    return {
      name: model.name,
      points: [{ x: 0, ...clean }, ...measured].sort((a, b) => a.x - b.x),
    }
  })
  return lineChart(series, {
    title: 'Accuracy against ε',
    text: `${NORMS[track.threat.norm]} radius of the perturbation; 0 is the clean accuracy. Bars are 95 % intervals.`,
    x: 'ε',
    xText: epsText,
    scale: 'linear',
    ticks: [0, ...family.map(({ threat }) => threat.eps!)].sort((a, b) => a - b),
  })
}

/** The whole curve at once, where the smallest perturbation of each image is known. */
export function securityChart(
  entries: readonly Entry[],
  { threat }: Pick<Track, 'threat'>,
): Chart | undefined {
  const series = entries.flatMap(({ model, security }) =>
    security
      ? [{ name: model.name, points: security.map(({ eps, accuracy }) => ({ x: eps, accuracy })) }]
      : [],
  )
  if (series.length === 0) return undefined
  return lineChart(series, {
    title: 'Accuracy against ε',
    text: `The share of images whose nearest known mistake is farther than ε (${NORMS[threat.norm]}). The smallest perturbations that the attacks found are upper bounds.`,
    x: 'ε',
    xText: epsText,
    scale: 'linear',
  })
}

/** Robust and clean accuracy against the number of layers. */
export function depthChart(entries: readonly Entry[]): Chart | undefined {
  return against(entries, 'depth', {
    title: 'Accuracy against depth',
    text: 'Weight layers on the longest path.',
    x: 'Layers',
    xText: String,
    scale: 'log',
  })
}

/** Robust and clean accuracy against the share of clean images in training. */
export function cleanRatioChart(entries: readonly Entry[]): Chart | undefined {
  return against(entries, 'cleanRatio', {
    title: 'Accuracy against the clean ratio',
    text: 'Clean images trained on beside the adversarial ones, as a share of the batch: 0 is adversarial images alone.',
    x: 'Clean ratio',
    xText: String,
    scale: 'linear',
  })
}
