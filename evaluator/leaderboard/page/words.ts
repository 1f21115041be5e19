import { datasetManifest } from '../../../manifests/datasets/read.ts'
import type { Entry, Track } from '../../../manifests/schema/leaderboard.ts'
import { epsText, NORMS, percent, slug } from '../format.ts'
import { type Html, html } from './html.ts'

/** Turns of phrase that several pages share. */

/** `L∞ ε = 8/255`, `L2 with each example's own ε`. */
export const threatText = ({ threat }: Pick<Track, 'threat'>): string =>
  `${NORMS[threat.norm]}${threat.eps === null ? ' with each example’s own ε' : ` ε = ${epsText(threat.eps)}`}${threat.targeted ? ', targeted' : ''}`

export const batteryText = ({ battery }: Pick<Track, 'battery'>): string =>
  `${battery.id} v${battery.version}`

/** `MNIST`, `CIFAR-10 (train)`: as the zoo calls a data set that it knows, else its own name. */
export function dataTitle({ dataset }: Pick<Track, 'dataset'>): string {
  const [name = '', split] = dataset.name.split(':')
  const title = datasetManifest(name)?.title ?? name
  return split === undefined ? title : `${title} (${split})`
}

/** `MNIST · L∞ ε = 0.1 · quick v1`. */
export const trackTitle = (track: Track): string =>
  `${dataTitle(track)} · ${threatText(track)} · ${batteryText(track)}`

/** How the battery makes one number of several attacks, in a sentence. */
export const aggregationText = ({ battery }: Pick<Track, 'battery'>): string =>
  battery.aggregation === 'worst-case'
    ? 'An image counts as robust if no attack of the battery broke it.'
    : 'Each attack runs on every image and is reported alone; the robust accuracy is what the battery’s decisive attack leaves.'

/** `2` or `1–3`: the places that a model can claim. */
export const rankText = ({ best, worst }: Entry['rank']): string =>
  best === worst ? String(best) : `${best}–${worst}`

export const intervalText = ([low, high]: readonly [number, number]): string =>
  `${(low * 100).toFixed(1)} – ${(high * 100).toFixed(1)}`

/** The page of a model within its track's folder; two files of one name stay apart by their digests. */
export const modelPage = ({ model }: Pick<Entry, 'model'>): string =>
  `${slug(model.name)}-${model.sha256.slice(0, 8)}.html`

/** An accuracy with its interval, linked to the outcomes of every image behind it. */
export const accuracyCell = (
  { accuracy, interval }: Entry['clean'],
  { ledger }: Pick<Entry, 'ledger'>,
  root: string,
): Html =>
  html`<a class="evidence" href="${root}${ledger.path}/examples.json">${percent(accuracy)}</a><small>${intervalText(interval)}</small>`

/** What kind of network it is and how it was trained, as far as its manifest says; lines break between the parts. */
export function kindOf({ model }: Pick<Entry, 'model'>): Html {
  const { architecture, normalisation, method, sha256 } = model
  const parts = [architecture, normalisation, method].filter((part) => part !== undefined)
  if (parts.length === 0) return html`sha256 ${sha256.slice(0, 12)}`
  return html`${parts.map((part, i) => html`${i > 0 && ' · '}<span>${part}</span>`)}`
}

export const images = (track: Track): number[] => [
  ...new Set(track.entries.map(({ images }) => images.count)),
]

/** `200 images`, `100 – 200 images`. */
export function imagesText(track: Track): string {
  const counts = images(track).sort((a, b) => a - b)
  const [low, high] = [counts[0]!, counts.at(-1)!]
  return low === high ? String(low) : `${low} – ${high}`
}

/** What the track's numbers support, in a sentence; nothing where there is nothing to compare. */
export function finding({ entries }: Track): string | null {
  if (entries.length < 2) return null
  const leaders = entries.filter(({ rank }) => rank.best === 1)
  const [first] = leaders
  if (!first || leaders.length === entries.length)
    return 'The data cannot tell these models apart: by paired tests on the same images, any of them may be the most robust.'
  if (leaders.length === 1)
    return `${first.model.name} is the most robust here, ${percent(first.robust.accuracy)} (${intervalText(first.robust.interval)}), set apart from every other model by paired tests on the same images.`
  const names = leaders.slice(0, 3).map(({ model }) => model.name)
  const more = leaders.length > 3 ? ` and ${leaders.length - 3} more` : ''
  return `${names.join(', ')}${more} share the first place, from ${percent(first.robust.accuracy)} down: the data cannot tell them apart.`
}

export const models = (count: number): string => (count === 1 ? '1 model' : `${count} models`)
