import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomic } from '../../manifests/atomic.ts'
import type { Progress } from '../../manifests/progress.ts'
import type { Reported } from '../../manifests/schema/leaderboard.ts'
import { evaluate } from '../evaluate.ts'
import { mergeLedgers } from '../merge.ts'
import type { EvaluationRequest } from '../request.ts'
import { type BuiltBoard, buildLeaderboard } from './build.ts'
import type { Job } from './jobs.ts'
import { partsOf } from './matrix.ts'

export interface RegenerateOptions {
  /** Where ledgers are kept. */
  readonly store: string
  /** The board's folder. */
  readonly out: string
  readonly reported: readonly Reported[]
  /** What `openData` takes for a data set's name. */
  readonly data: (dataset: string) => Promise<string>
  readonly provider: EvaluationRequest['provider']
  /** Folders of parts that other machines have evaluated: they are merged, and not evaluated again. */
  readonly parts?: string | undefined
  /** Processes, and threads in each; measured where absent. */
  readonly processes?: number | undefined
  readonly threads?: number | undefined
}

export interface Regenerated {
  readonly evaluated: readonly string[]
  readonly kept: readonly string[]
  readonly board: BuiltBoard
}

/**
 * What a repository need not keep of a store. The numbers rest on what is left: every unit's outcomes. The images are found
 * again by the same seeds.
 */
const REPRODUCIBLE = ['*.adv', 'pictures.png', 'report.html']

/** Makes the store ready to be committed, unless it says already what is to be left out. */
async function tellGit(store: string): Promise<void> {
  const path = join(store, '.gitignore')
  if (!existsSync(path)) await writeFileAtomic(path, `${REPRODUCIBLE.join('\n')}\n`)
}

/**
 * Evaluates what the store lacks, one job after the other, and builds the board of all jobs. It may be stopped
 * anywhere and run again: finished jobs are kept, a job that was begun goes on from its finished units.
 *
 * @throws ZooError as `evaluate`, `mergeLedgers` and `buildLeaderboard` do
 */
export async function regenerate(
  jobs: readonly Job[],
  options: RegenerateOptions,
  progress: Progress,
): Promise<Regenerated> {
  await tellGit(options.store)
  const pending = jobs.filter(({ state }) => state !== 'finished')
  for (const [i, job] of pending.entries())
    await runJob(job, options, (event) =>
      progress({ ...event, stage: `${i + 1}/${pending.length} ${job.candidate.file.name}: ${event.stage}` }),
    )
  const cards = jobs.flatMap(({ candidate: { file, card } }) => (card ? [[file.sha256, card] as const] : []))
  const board = await buildLeaderboard(
    jobs.map(({ dir }) => dir),
    { out: options.out, models: new Map(cards), reported: options.reported },
  )
  return {
    evaluated: pending.map(({ id }) => id),
    kept: jobs.filter(({ state }) => state === 'finished').map(({ id }) => id),
    board,
  }
}

async function runJob(job: Job, options: RegenerateOptions, progress: Progress): Promise<void> {
  const { candidate, track, battery, seed, dir } = job
  const parts = options.parts === undefined ? [] : await partsOf(job, options.parts)
  if (parts.length > 0) {
    await mergeLedgers(parts, dir)
    return
  }
  await evaluate(
    {
      model: candidate.file,
      manifest: candidate.card?.manifest,
      input: candidate.input,
      outputKind: candidate.outputKind,
      data: await options.data(track.dataset),
      battery,
      norm: track.norm,
      eps: track.eps,
      limit: track.images,
      seed,
      provider: options.provider,
      jobs: options.processes,
      threads: options.threads,
      out: dir,
    },
    progress,
  )
}
