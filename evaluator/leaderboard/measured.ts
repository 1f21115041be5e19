import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asZooError, ZooError } from '../../manifests/error.ts'
import { boardSchema, type Track, trackSchema } from '../../manifests/schema/leaderboard.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import {
  type ExampleRow,
  examplesSchema,
  type Result,
  resultSchema,
  type Share,
} from '../../manifests/schema/result.ts'
import { trackId } from './tracks.ts'
import { parseJson, readTracks, readVersions, versionFolder } from './versions.ts'

/** One model's numbers in one track, with what they depend on. */
export interface Measured {
  readonly track: string
  readonly model: { readonly name: string; readonly sha256: string }
  readonly clean: Share
  readonly robust: Share
  readonly rank?: { best: number; worst: number }
  /** Digests. */
  readonly dataset: string
  readonly battery: string
  readonly images?: string
  readonly seed: number
  readonly software: Readonly<Record<string, string>>
  readonly provider: string
  /** The outcomes of every image, where they are at hand. */
  readonly examples?: readonly ExampleRow[]
  /** A single evaluation, not a row of a board: its counterpart need not bear the same name. */
  readonly single: boolean
}

/**
 * Measurements from whatever holds them: a board (its newest version), a version of it, one track's document, the
 * folder of an evaluation, or its `result.json` as `zoo eval --json` prints it.
 *
 * @throws ZooError `not-found`, `invalid-manifest`, or `integrity` where a published document was altered
 */
export async function readMeasured(path: string): Promise<Measured[]> {
  const info = await stat(path).catch((error) => {
    throw asZooError(error)
  })
  if (info.isFile()) return fromFile(path)
  if (await exists(join(path, 'board.json'))) return fromVersion(path)
  if (await exists(join(path, 'result.json'))) return fromFile(join(path, 'result.json'))
  const newest = (await readVersions(path)).at(-1)
  if (newest) return fromVersion(join(path, versionFolder(newest.version)))
  throw new ZooError('not-found', `${path} holds neither a board nor an evaluation`, {
    hint: 'give a version of a board (board/v1), a track.json, or what `zoo eval --out` or `--json` wrote',
  })
}

async function fromVersion(folder: string): Promise<Measured[]> {
  const path = join(folder, 'board.json')
  const board = parseAs(boardSchema, parseJson(await readFile(path, 'utf8'), path), path)
  const tracks = await readTracks(folder, board)
  return (await Promise.all(tracks.map((track) => fromTrack(track, dirname(folder))))).flat()
}

async function fromFile(path: string): Promise<Measured[]> {
  const document = parseJson(await readFile(path, 'utf8'), path)
  if (typeof document === 'object' && document !== null && 'entries' in document)
    return fromTrack(parseAs(trackSchema, document, path), join(dirname(path), '../..'))
  const result = parseAs(resultSchema, document, path)
  return [fromResult(result, await examplesAt(dirname(path), result))]
}

function fromResult(result: Result, examples: readonly ExampleRow[] | undefined): Measured {
  const { model, clean, robust, dataset, battery, seed, software, provider } = result
  return {
    track: trackId(result),
    model,
    clean,
    robust,
    dataset: dataset.sha256,
    battery: battery.sha256,
    seed,
    software,
    provider,
    ...(examples && { examples }),
    single: true,
  }
}

/** @param root the board's folder, which holds the ledgers */
async function fromTrack(track: Track, root: string): Promise<Measured[]> {
  return Promise.all(
    track.entries.map(async (entry) => {
      const { model, clean, robust, rank, images, seed, software, provider, ledger } = entry
      const examples = await examplesAt(join(root, ledger.path), { robust })
      return {
        track: track.id,
        model,
        clean,
        robust,
        rank,
        dataset: track.dataset.sha256,
        battery: track.battery.sha256,
        images: images.sha256,
        seed,
        software,
        provider,
        ...(examples && { examples }),
        single: false,
      }
    }),
  )
}

/** Outcomes that lie beside the numbers, unless they are those of another evaluation. */
async function examplesAt(
  folder: string,
  { robust }: { robust: Share },
): Promise<readonly ExampleRow[] | undefined> {
  const path = join(folder, 'examples.json')
  if (!(await exists(path))) return undefined
  const examples = parseAs(examplesSchema, parseJson(await readFile(path, 'utf8'), path), path)
  const share = examples.filter((example) => example.robust).length / examples.length
  return Math.abs(share - robust.accuracy) < 1e-9 ? examples : undefined
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
