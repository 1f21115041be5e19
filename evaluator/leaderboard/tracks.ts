import { createHash } from 'node:crypto'
import { ZooError } from '../../manifests/error.ts'
import type { Entry, Reported, ReportedEntry, Track } from '../../manifests/schema/leaderboard.ts'
import type { ModelManifest } from '../../manifests/schema/model.ts'
import type { Result } from '../../manifests/schema/result.ts'
import { parseEps } from '../eps.ts'
import { inputWords, shellLine, threatWords } from './command.ts'
import type { Evaluation } from './evaluation.ts'
import { epsText, slug } from './format.ts'
import { rankIntervals } from './rank.ts'

/** What the board knows of models beside their ledgers, by the sha256 of the ONNX file. */
export interface ModelCard {
  readonly manifest: ModelManifest
  /** Who signed the files, if a trusted signature was verified. */
  readonly signer?: string
}

export interface TrackOptions {
  readonly version: number
  readonly models: ReadonlyMap<string, ModelCard>
  readonly reported: readonly Reported[]
}

/** Evaluations as tracks, in the order of their ids. Numbers of two tracks never share a document. */
export function makeTracks(evaluations: readonly Evaluation[], options: TrackOptions): Track[] {
  const groups = new Map<string, Evaluation[]>()
  for (const evaluation of evaluations) {
    const id = trackId(evaluation.result)
    groups.set(id, [...(groups.get(id) ?? []), evaluation])
  }
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, group]) => makeTrack(id, group, options))
}

/** `mnist-linf-0.1-quick-v1`: data set, threat and battery with its version, as a folder's name. */
export function trackId({ dataset, threat, battery }: Result): string {
  const eps = threat.eps === null ? 'own-eps' : slug(epsText(threat.eps))
  const targeted = threat.targeted ? 'targeted-' : ''
  return `${slug(dataset.name)}-${threat.norm}-${eps}-${targeted}${slug(battery.id)}-v${slug(battery.version)}`
}

function makeTrack(id: string, group: readonly Evaluation[], options: TrackOptions): Track {
  const [first] = group
  if (!first) throw new ZooError('internal', `track ${id} has no evaluations`)
  const { dataset, threat, battery } = first.result
  for (const other of group) {
    if (other.result.dataset.sha256 !== dataset.sha256)
      throw new ZooError(
        'conflict',
        `${first.dir} and ${other.dir} were evaluated on different data, both called '${dataset.name}'`,
        { hint: 'give one of the data sets another name, or leave one of the ledgers out' },
      )
    if (other.result.battery.sha256 !== battery.sha256)
      throw new ZooError(
        'conflict',
        `${first.dir} and ${other.dir} were attacked by different batteries, both called ${battery.id} version ${battery.version}`,
        { hint: 'a changed battery needs a new version: evaluate again, or leave one of the ledgers out' },
      )
  }
  const kept = onePerModel(group)
  const ranks = rankIntervals(kept.map(({ examples }) => examples))
  const entries = kept
    .map((evaluation, i): Entry => makeEntry(evaluation, ranks[i]!, options.models))
    .sort(
      (a, b) =>
        b.robust.accuracy - a.robust.accuracy ||
        b.clean.accuracy - a.clean.accuracy ||
        (a.model.name < b.model.name ? -1 : a.model.name > b.model.name ? 1 : 0) ||
        (a.model.sha256 < b.model.sha256 ? -1 : 1),
    )
  return {
    schemaVersion: 1,
    id,
    version: options.version,
    date: latest(entries),
    dataset: { name: dataset.name, sha256: dataset.sha256, size: dataset.size },
    threat,
    battery,
    ...optional('seed', only(entries.map(({ seed }) => seed))),
    entries,
    reported: options.reported.flatMap(({ source, entries }) =>
      entries.filter((entry) => fits(entry, first.result)).map((entry) => ({ ...entry, source: source.url })),
    ),
  }
}

/** Whether a figure from elsewhere was found on the same data, for the same threat and by the same kind of battery. */
const fits = (entry: ReportedEntry, { dataset, threat, battery }: Result): boolean =>
  entry.dataset === dataset.name &&
  entry.battery === battery.id &&
  entry.threat.norm === threat.norm &&
  entry.threat.targeted === threat.targeted &&
  threat.eps !== null &&
  Math.abs(parseEps(entry.threat.eps) - threat.eps) < 1e-6

/** The date of the last evaluation. ISO dates in UTC sort as text. */
export const latest = (dated: readonly { readonly date: string }[]): string =>
  dated
    .map(({ date }) => date)
    .sort()
    .at(-1)!

/**
 * One entry per model file. Of several runs, the one with more images counts, then the one in which the attack
 * found more: a robust accuracy is an upper bound, so the lower one is the better known.
 */
function onePerModel(group: readonly Evaluation[]): Evaluation[] {
  const best = new Map<string, Evaluation>()
  for (const evaluation of group) {
    const sha256 = evaluation.result.model.sha256
    const other = best.get(sha256)
    if (!other || stronger(evaluation, other)) best.set(sha256, evaluation)
  }
  return [...best.values()].sort((a, b) => (a.result.model.sha256 < b.result.model.sha256 ? -1 : 1))
}

function stronger(a: Evaluation, b: Evaluation): boolean {
  if (a.examples.length !== b.examples.length) return a.examples.length > b.examples.length
  if (a.result.robust.accuracy !== b.result.robust.accuracy)
    return a.result.robust.accuracy < b.result.robust.accuracy
  return a.sha256 < b.sha256
}

function makeEntry(
  evaluation: Evaluation,
  rank: Entry['rank'],
  models: ReadonlyMap<string, ModelCard>,
): Entry {
  const { result, examples, explanations } = evaluation
  const card = models.get(result.model.sha256)
  const total = (key: 'seconds' | 'forwards' | 'backwards') =>
    result.attacks.reduce((sum, attack) => sum + attack[key], 0)
  return {
    rank,
    model: describe(result.model, card?.manifest),
    clean: result.clean,
    robust: result.robust,
    attacks: result.attacks,
    budget: { seconds: total('seconds'), forwards: total('forwards'), backwards: total('backwards') },
    curve: result.curve,
    ...optional('security', securityCurve(evaluation)),
    flags: result.flags.map((flag) => ({ ...flag, ...optional('explanation', explanations[flag.name]) })),
    skipped: result.skipped,
    images: imagesOf(examples),
    seed: result.seed,
    software: result.software,
    provider: result.provider,
    date: result.date,
    ...optional('signer', card?.signer),
    ledger: { path: ledgerPath(evaluation), sha256: evaluation.sha256 },
    command: commandFor(evaluation, card),
  }
}

/** Points of a security curve, at most. */
const STEPS = 40

/**
 * Accuracy against eps, up to the track's own, from the sizes of the perturbations that broke each image. Only
 * attacks that look for the smallest one make it meaningful: others end at the edge of the ball.
 */
function securityCurve({ result, examples }: Evaluation): Entry['security'] | undefined {
  const { eps } = result.threat
  if (eps === null || result.attacks.every(({ medianNorm }) => medianNorm === undefined)) return undefined
  const accuracy = (radius: number) =>
    examples.filter(({ clean, norm }) => clean && (norm === null || norm > radius)).length / examples.length
  return Array.from({ length: STEPS + 1 }, (_, i) => (eps * i) / STEPS).map((radius) => ({
    eps: radius,
    accuracy: accuracy(radius),
  }))
}

/** Where the board keeps its copy of a ledger, within its folder. */
export const ledgerPath = ({ sha256 }: Pick<Evaluation, 'sha256'>): string => `ledgers/${sha256.slice(0, 16)}`

function describe(
  { name, sha256 }: { name: string; sha256: string },
  manifest: ModelManifest | undefined,
): Entry['model'] {
  if (!manifest) return { name, sha256, authors: [] }
  return {
    name,
    sha256,
    version: manifest.version,
    description: manifest.description,
    architecture: manifest.architecture,
    parameters: manifest.parameters,
    ...optional('flops', manifest.flops),
    ...optional('depth', manifest.depth),
    ...optional('normalisation', manifest.normalisation),
    branch: manifest.branch,
    ...optional('method', manifest.method),
    ...optional('recipe', manifest.recipe?.name),
    ...optional('trainingSeed', manifest.recipe?.seed),
    ...optional('cleanRatio', manifest.cleanRatio),
    ...optional('trainedFor', manifest.threat),
    licence: manifest.licence,
    authors: manifest.authors,
    ...optional('paper', manifest.paper),
  }
}

/** The value that all have, if it is one. */
const only = (values: readonly number[]): number | undefined =>
  new Set(values).size === 1 ? values[0] : undefined

const optional = <K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } =>
  value === undefined ? {} : ({ [key]: value } as { [P in K]?: T })

/** A model as the registry knows it, in the version that was evaluated. */
const reference = ({ name, version }: Pick<ModelManifest, 'name' | 'version'>): string => `${name}@${version}`

/** Which images: digest of their indices, one a line. */
export function imagesOf(examples: readonly { index: number }[]): Entry['images'] {
  const text = examples.map(({ index }) => `${index}\n`).join('')
  return { count: examples.length, sha256: createHash('sha256').update(text).digest('hex') }
}

/**
 * The command that gives these outcomes again, with the very version of a zoo model. Its manifest says how it wants its
 * images; a bare file's flags do. Threads decide how sums are rounded.
 */
function commandFor({ result, examples, input, threads }: Evaluation, card: ModelCard | undefined): string {
  const { model, dataset, seed } = result
  return shellLine([
    'zoo',
    'eval',
    card ? reference(card.manifest) : model.name,
    '--data',
    dataset.name,
    ...threatWords(result),
    '--limit',
    String(examples.length),
    '--seed',
    String(seed),
    ...(threads === undefined ? [] : ['--threads', String(threads)]),
    ...(input && !card ? inputWords(input) : []),
  ])
}
