import type { Share } from '../../manifests/schema/result.ts'
import { accuracyDifference, discordant, mcnemar } from '../statistics/paired.ts'
import type { Measured } from './measured.ts'
import { onCommonImages } from './rank.ts'

/** Why a number may differ from the one before it. `unexplained`: nothing differs but the number. */
export type Cause = 'model' | 'data' | 'battery' | 'seed' | 'software' | 'provider' | 'images' | 'unexplained'

export interface Change {
  readonly track: string
  readonly model: string
  readonly kind: 'added' | 'removed' | 'moved' | 'unchanged'
  readonly before?: Figures
  readonly after?: Figures
  readonly causes: readonly Cause[]
  /** The robust accuracy's difference on the images that both were evaluated on, where all outcomes are at hand. */
  readonly paired?: { images: number; difference: number; interval: readonly [number, number]; p: number }
  /** The robust accuracy fell below the interval that it had before. */
  readonly dropped: boolean
}

export interface Figures {
  readonly clean: Share
  readonly robust: Share
  readonly rank?: { best: number; worst: number } | undefined
}

export interface Comparison {
  /** Tracks that only one side has: a new version of a battery is a new track, never a change of an old one. */
  readonly tracks: { readonly added: readonly string[]; readonly removed: readonly string[] }
  readonly changes: readonly Change[]
}

/** What moved between two sets of measurements, and why. */
export function compare(before: readonly Measured[], after: readonly Measured[]): Comparison {
  const tracks = (side: readonly Measured[]) => [...new Set(side.map(({ track }) => track))].sort()
  const [old, now] = [tracks(before), tracks(after)]
  const shared = now.filter((track) => old.includes(track))
  return {
    tracks: {
      added: now.filter((track) => !old.includes(track)),
      removed: old.filter((track) => !now.includes(track)),
    },
    changes: shared.flatMap((track) =>
      compareTrack(
        before.filter((measured) => measured.track === track),
        after.filter((measured) => measured.track === track),
      ),
    ),
  }
}

function compareTrack(before: readonly Measured[], after: readonly Measured[]): Change[] {
  const left = new Set(before)
  const changes = after.map((now): Change => {
    const old = counterpart(now, [...left], after)
    if (!old) return { ...nameOf(now), kind: 'added', after: figures(now), causes: [], dropped: false }
    left.delete(old)
    return change(old, now)
  })
  const removed = [...left].map(
    (old): Change => ({ ...nameOf(old), kind: 'removed', before: figures(old), causes: [], dropped: false }),
  )
  return [...changes, ...removed]
}

/** The same file, else the same name, else the only other one where single evaluations are compared. */
function counterpart(
  now: Measured,
  candidates: readonly Measured[],
  after: readonly Measured[],
): Measured | undefined {
  const sameFile = candidates.find(({ model }) => model.sha256 === now.model.sha256)
  if (sameFile) return sameFile
  const taken = (old: Measured) => after.some(({ model }) => model.sha256 === old.model.sha256)
  const free = candidates.filter((old) => !taken(old))
  return (
    free.find(({ model }) => model.name === now.model.name) ??
    (now.single && free[0]?.single ? free[0] : undefined)
  )
}

function change(old: Measured, now: Measured): Change {
  const moved =
    old.robust.accuracy !== now.robust.accuracy ||
    old.clean.accuracy !== now.clean.accuracy ||
    old.model.sha256 !== now.model.sha256
  const causes = causesOf(old, now)
  const paired = pairedDifference(old, now)
  return {
    ...nameOf(now),
    kind: moved ? 'moved' : 'unchanged',
    before: figures(old),
    after: figures(now),
    causes: moved && causes.length === 0 ? ['unexplained'] : causes,
    ...(paired && { paired }),
    dropped: now.robust.accuracy < old.robust.interval[0],
  }
}

function causesOf(old: Measured, now: Measured): Cause[] {
  const software = (side: Measured) => JSON.stringify(Object.entries(side.software).sort())
  const differs: [Cause, boolean][] = [
    ['model', old.model.sha256 !== now.model.sha256],
    ['data', old.dataset !== now.dataset],
    ['images', old.images !== undefined && now.images !== undefined && old.images !== now.images],
    ['battery', old.battery !== now.battery],
    ['seed', old.seed !== now.seed],
    ['software', software(old) !== software(now)],
    ['provider', old.provider !== now.provider],
  ]
  return differs.flatMap(([cause, is]) => (is ? [cause] : []))
}

function pairedDifference(old: Measured, now: Measured): Change['paired'] {
  if (!old.examples || !now.examples || old.dataset !== now.dataset) return undefined
  const pair = onCommonImages(now.examples, old.examples)
  if (pair.a.length === 0) return undefined
  const { won, lost } = discordant(pair)
  return { images: pair.a.length, ...accuracyDifference(pair), p: mcnemar(won, lost) }
}

const nameOf = ({ track, model }: Measured) => ({ track, model: model.name })
const figures = ({ clean, robust, rank }: Measured): Figures => ({ clean, robust, rank })
