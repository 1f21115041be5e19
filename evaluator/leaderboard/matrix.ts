import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { inputWords } from './command.ts'
import type { Job } from './jobs.ts'

/** A job matrix as GitHub Actions takes it: `strategy: { matrix: ${{ fromJSON(...) }} }`. */
export interface Matrix {
  readonly include: readonly MatrixRow[]
}

export interface MatrixRow {
  /** Names the part, fit for an artifact's name. */
  readonly part: string
  /** The job's id: the ledger's folder in the store. */
  readonly id: string
  /** What `zoo eval` is called with. */
  readonly arguments: readonly string[]
}

/** The parts of all jobs that aren't finished. A part is one shard of one evaluation. */
export function matrixOf(jobs: readonly Job[], shards: number): Matrix {
  return {
    include: jobs
      .filter(({ state }) => state !== 'finished')
      .flatMap((job) =>
        Array.from(
          { length: shards },
          (_, i): MatrixRow => ({
            part: `${partName(job)}-${i + 1}`,
            id: job.id,
            arguments: [...argumentsOf(job), ...(shards > 1 ? ['--shard', `${i + 1}/${shards}`] : [])],
          }),
        ),
      ),
  }
}

/** A job's name where paths are too long: its parts are called this and a number. */
const partName = ({ id }: Pick<Job, 'id'>): string =>
  createHash('sha256').update(id).digest('hex').slice(0, 12)

/** The folders of a job's parts below `folder`, as `zoo eval` left them and CI handed them over. */
export async function partsOf(job: Pick<Job, 'id'>, folder: string): Promise<string[]> {
  const own = new RegExp(`^(part-)?${partName(job)}-\\d+$`)
  return (await readdir(folder))
    .filter((name) => own.test(name))
    .sort()
    .map((name) => join(folder, name))
}

/** `zoo eval` with everything that decides an outcome. */
function argumentsOf({ candidate, track, seed }: Job): string[] {
  const { input, outputKind, spec } = candidate
  return [
    spec,
    ...[
      '--data',
      track.dataset,
      '--battery',
      track.battery,
      '--norm',
      track.norm,
      '--eps',
      String(track.eps),
    ],
    ...['--limit', String(track.images), '--seed', String(seed)],
    ...(outputKind === undefined ? [] : ['--output-kind', outputKind]),
    ...(input ? inputWords(input) : []),
  ]
}
