import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomic } from '../../manifests/atomic.ts'
import { ZooError } from '../../manifests/error.ts'
import { type Board, type Reported, type Track, trackSchema } from '../../manifests/schema/leaderboard.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import { badge } from './badge.ts'
import { compare } from './compare.ts'
import { type Evaluation, PICTURES, readEvaluation } from './evaluation.ts'
import { readMeasured } from './measured.ts'
import { homePage, versionsPage } from './page/home.ts'
import { modelPageOf } from './page/model.ts'
import { trackPage } from './page/track.ts'
import { modelPage } from './page/words.ts'
import { comparisonText } from './text.ts'
import { ledgerPath, type ModelCard, makeTracks } from './tracks.ts'
import {
  clearUnfinished,
  documentText,
  publishTracks,
  readTracks,
  readVersions,
  versionFolder,
} from './versions.ts'

export interface BuildOptions {
  /** The board's folder; earlier versions in it stay as they are. */
  readonly out: string
  /** Cards of the models, by the sha256 of the ONNX file. */
  readonly models?: ReadonlyMap<string, ModelCard>
  /** Figures reported elsewhere, shown beside the tracks that they fit. */
  readonly reported?: readonly Reported[]
}

export interface BuiltBoard {
  readonly version: number
  /** False if the newest version already said all this: then only its pages were drawn again. */
  readonly fresh: boolean
  /** The board's front page. */
  readonly index: string
  /** What moved since the version before, as Markdown; absent for the first. */
  readonly changes?: string
  readonly tracks: readonly { readonly document: Track; readonly path: string; readonly page: string }[]
}

/**
 * Makes the leaderboard of finished evaluations: one document and one page per track, a page per model, badges.
 * The same ledgers give the same bytes, and give no new version where the newest one already holds them.
 *
 * @param dirs folders that `zoo eval --out` kept
 * @throws ZooError `not-found` for a folder without a finished evaluation, `conflict` when two data sets share
 * a name, `integrity` when a published document was altered
 */
export async function buildLeaderboard(dirs: readonly string[], options: BuildOptions): Promise<BuiltBoard> {
  const { out, models = new Map(), reported = [] } = options
  if (dirs.length === 0)
    throw new ZooError('usage', 'a leaderboard needs at least one evaluation', {
      hint: 'keep one with `zoo eval MODEL --out DIR`, then `zoo leaderboard build DIR --out BOARD`',
    })
  const evaluations = await Promise.all(dirs.map(readEvaluation))
  const published = await readVersions(out)
  const newest = published.at(-1)
  const older = newest && (await readTracks(join(out, versionFolder(newest.version)), newest))
  const at = (version: number) => makeTracks(evaluations, { version, models, reported })
  const fresh = !(newest && older && documentText(at(newest.version)) === documentText(older))
  const version = (newest?.version ?? 0) + (fresh ? 1 : 0)
  const tracks = at(version).map((track) => parseAs(trackSchema, track, `track ${track.id}`))

  await keepLedgers(evaluations, out)
  if (fresh) await clearUnfinished(out, version)
  // A store need not keep pictures: those that the board got when an evaluation was new stay.
  const pictured = new Set(
    evaluations.map(ledgerPath).filter((path) => existsSync(join(out, path, PICTURES))),
  )
  await drawVersion(join(out, versionFolder(version)), tracks, pictured)
  const board = fresh ? await publishTracks(out, version, tracks) : newest!
  if (fresh && newest) await writeChanges(out, newest.version, version)
  await drawFront(out, fresh ? [...published, board] : published, tracks)
  return {
    version,
    fresh,
    index: join(out, 'index.html'),
    ...(version > 1 && { changes: join(out, versionFolder(version), 'changes.md') }),
    tracks: tracks.map((document) => {
      const folder = join(out, versionFolder(version), document.id)
      return { document, path: join(folder, 'track.json'), page: join(folder, 'index.html') }
    }),
  }
}

/** Copies of the outcomes, named by their digest, so that the board proves its numbers by itself. */
async function keepLedgers(evaluations: readonly Evaluation[], out: string): Promise<void> {
  for (const evaluation of evaluations) {
    const folder = join(out, ledgerPath(evaluation))
    for (const [name, bytes] of evaluation.files) await writeFileAtomic(join(folder, name), bytes)
    if (evaluation.pictures) await writeFileAtomic(join(folder, PICTURES), evaluation.pictures)
  }
}

/** What moved since the version before, beside the new version's documents; also the text of a pull request. */
async function writeChanges(out: string, before: number, after: number): Promise<void> {
  const [old, now] = [before, after].map((version) => join(out, versionFolder(version)))
  const comparison = compare(await readMeasured(old!), await readMeasured(now!))
  const text = `# Version ${after}, compared with version ${before}\n\n${comparisonText(comparison)}\n`
  await writeFileAtomic(join(now!, 'changes.md'), text)
}

async function drawVersion(
  folder: string,
  tracks: readonly Track[],
  pictured: ReadonlySet<string>,
): Promise<void> {
  for (const track of tracks) {
    await writeFileAtomic(join(folder, track.id, 'index.html'), trackPage(track, tracks))
    for (const entry of track.entries)
      await writeFileAtomic(
        join(folder, track.id, modelPage(entry)),
        modelPageOf(entry, { track, siblings: tracks, pictured: pictured.has(entry.ledger.path) }),
      )
  }
}

async function drawFront(out: string, boards: readonly Board[], tracks: readonly Track[]): Promise<void> {
  const newest = boards.at(-1)!
  const folder = `${versionFolder(newest.version)}/`
  await writeFileAtomic(join(out, folder, 'index.html'), homePage(newest, tracks, '../', ''))
  await writeFileAtomic(join(out, 'index.html'), homePage(newest, tracks, '', folder))
  await writeFileAtomic(join(out, 'versions.html'), versionsPage(boards))
  for (const track of tracks)
    for (const entry of track.entries) {
      const name = modelPage(entry).replace(/\.html$/, '.svg')
      await writeFileAtomic(join(out, 'badges', track.id, name), badge({ ...track, ...entry }))
    }
}
