import type { Entry } from '../../../../manifests/schema/leaderboard.ts'
import type { Share } from '../../../../manifests/schema/result.ts'
import { epsText, NORMS, percent } from '../../format.ts'
import { bySeed, mean } from '../../seeds.ts'
import type { Chart } from './chart.ts'
import { lineChart, type Series } from './lines.ts'

/** What is read off the horizontal axis. */
type Axis = 'depth' | 'cleanRatio'

/** What else tells models apart that are trained: where it differs too, a line between them would say nothing. */
const TRAITS: readonly ((model: Entry['model'], axis: Axis) => string | undefined)[] = [
  ({ method }) => method,
  ({ normalisation }) => normalisation && `${normalisation} norm`,
  ({ branch }) => (branch === undefined || branch === 'main' ? undefined : `${branch} branch`),
  ({ trainedFor }) => trainedFor && `for ${NORMS[trainedFor.norm]} ${epsText(trainedFor.eps)}`,
  ({ cleanRatio }, axis) =>
    axis === 'cleanRatio' || cleanRatio === undefined ? undefined : `clean ratio ${cleanRatio}`,
  ({ depth }, axis) => (axis === 'depth' || depth === undefined ? undefined : `${depth} layers`),
]

/**
 * Robust and clean accuracy against one property of the models. Models alike in everything else that their manifests say
 * are joined by a line, the seeds of one recipe are one point; where no such models are, each stands alone.
 */
export function against(
  entries: readonly Entry[],
  axis: Axis,
  options: Omit<Parameters<typeof lineChart>[1], 'ticks'>,
): Chart | undefined {
  const value = ({ model }: Entry): number => model[axis]!
  const known = entries.filter(({ model }) => model[axis] !== undefined).sort((a, b) => value(a) - value(b))
  const lines = named(
    families(known, axis).filter((members) => new Set(members.map(value)).size > 1),
    axis,
  )
  const drawn = lines.length > 0 ? lines.flatMap(({ members }) => members) : known
  const ticks = [...new Set(drawn.map(value))].sort((a, b) => a - b)
  if (ticks.length < 2) return undefined
  const series = (lines.length > 0 ? lines : [{ name: '', members: known }]).flatMap(({ name, members }) =>
    (['robust', 'clean'] as const).map((kind): Series => {
      const title = kind === 'robust' ? 'Robust' : 'Clean'
      const points =
        lines.length > 0
          ? bySeed(members).map((seeds) => point(seeds, value, kind))
          : members.map((entry) => point([entry], value, kind))
      return { name: name && lines.length > 1 ? `${title}, ${name}` : title, points }
    }),
  )
  const seeds = lines.some(({ members }) => bySeed(members).length < members.length)
  const reading = seeds
    ? 'A point is the mean over the seeds of a recipe, its bar goes from the lowest to the highest.'
    : 'Bars are 95 % intervals.'
  const chart = lineChart(series, {
    ...options,
    text: `${options.text} ${reading}`,
    ticks,
    joined: lines.length > 0,
  })
  const rows = known.map((entry) => [
    entry.model.name,
    options.xText(value(entry)),
    percent(entry.robust.accuracy),
    percent(entry.clean.accuracy),
  ])
  return { ...chart, columns: ['Model', options.x, 'Robust', 'Clean'], rows }
}

const traitsOf = (axis: Axis, { model }: Entry) => TRAITS.map((trait) => trait(model, axis))

/** Models alike in every trait but the axis. */
function families(entries: readonly Entry[], axis: Axis): Entry[][] {
  const groups = new Map<string, Entry[]>()
  for (const entry of entries) {
    const key = JSON.stringify(traitsOf(axis, entry))
    groups.set(key, [...(groups.get(key) ?? []), entry])
  }
  return [...groups.values()]
}

/** Families named by those traits in which they differ. */
function named(
  all: readonly (readonly Entry[])[],
  axis: Axis,
): { name: string; members: readonly Entry[] }[] {
  const traits = all.map(([first]) => traitsOf(axis, first!))
  const telling = TRAITS.map((_, i) => new Set(traits.map((own) => own[i])).size > 1)
  return all.map((members, n) => ({
    name: traits[n]!.filter((trait, i) => trait !== undefined && telling[i]).join(', '),
    members,
  }))
}

/** One model with its interval, or the mean of several between their extremes. */
function point(
  seeds: readonly Entry[],
  value: (entry: Entry) => number,
  kind: 'robust' | 'clean',
): Series['points'][number] {
  const [first] = seeds
  const accuracies = seeds.map((entry) => entry[kind].accuracy)
  const interval: Share['interval'] =
    seeds.length === 1 ? first![kind].interval : [Math.min(...accuracies), Math.max(...accuracies)]
  return { x: value(first!), accuracy: mean(accuracies), interval }
}
