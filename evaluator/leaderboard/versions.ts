import { createHash } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '../../manifests/atomic.ts'
import { ZooError } from '../../manifests/error.ts'
import { type Board, boardSchema, type Track, trackSchema } from '../../manifests/schema/leaderboard.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import { latest } from './tracks.ts'

/**
 * The board's folder:
 *
 *     index.html versions.html      the newest version's front page, and the list of all
 *     ledgers/DIGEST/               outcomes behind the numbers, shared by all versions
 *     badges/TRACK/MODEL.svg        the newest version's badges
 *     vN/board.json                 names every track document with its digest; written last
 *     vN/changes.md                 what moved since the version before
 *     vN/TRACK/track.json           the numbers
 *     vN/TRACK/*.html               the pages made from them
 *
 * A version whose `board.json` stands is published: its documents never change.
 */
export const versionFolder = (version: number): string => `v${version}`

/** A document as its bytes: two spaces, one newline at the end. */
export const documentText = (document: unknown): string => `${JSON.stringify(document, null, 2)}\n`

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Published versions, oldest first. */
export async function readVersions(out: string): Promise<Board[]> {
  const names = await readdir(out).catch(() => [])
  const numbers = names
    .flatMap((name) => (/^v[1-9]\d*$/.test(name) ? [Number(name.slice(1))] : []))
    .sort((a, b) => a - b)
  const boards: Board[] = []
  for (const number of numbers) {
    const path = join(out, versionFolder(number), 'board.json')
    const text = await readFile(path, 'utf8').catch(() => undefined)
    if (text !== undefined) boards.push(parseAs(boardSchema, parseJson(text, path), path))
  }
  return boards
}

/**
 * The track documents of one published version.
 *
 * @param folder the version's folder, such as `board/v2`
 * @throws ZooError `integrity` when a document is not the one that was published
 */
export async function readTracks(folder: string, board: Board): Promise<Track[]> {
  return Promise.all(
    board.tracks.map(async ({ path, sha256 }) => {
      const file = join(folder, path)
      const text = await readFile(file, 'utf8')
      if (digestOf(text) !== sha256)
        throw new ZooError('integrity', `${file} was changed after it was published`, {
          hint: 'restore it from version control: a published version never changes',
        })
      return parseAs(trackSchema, parseJson(text, file), file)
    }),
  )
}

/** Makes room for a new version: what an interrupted build left there goes. */
export async function clearUnfinished(out: string, version: number): Promise<void> {
  await rm(join(out, versionFolder(version)), { recursive: true, force: true })
}

/** Writes the documents, and `board.json` when they all stand. */
export async function publishTracks(out: string, version: number, tracks: readonly Track[]): Promise<Board> {
  const folder = join(out, versionFolder(version))
  const listed: Board['tracks'] = []
  for (const track of tracks) {
    const text = documentText(track)
    const path = `${track.id}/track.json`
    await writeFileAtomic(join(folder, path), text)
    listed.push({ id: track.id, path, sha256: digestOf(text) })
  }
  const board: Board = { schemaVersion: 1, version, date: latest(tracks), tracks: listed }
  await writeFileAtomic(join(folder, 'board.json'), documentText(board))
  return board
}

export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ZooError('invalid-manifest', `${path} is not JSON: ${(error as Error).message}`)
  }
}
