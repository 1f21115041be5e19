import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Progress } from '../../manifests/progress.ts'
import type { EvaluationRequest } from '../request.ts'
import type { Choices } from './make-plan.ts'
import { blocksOf, type Plan } from './plan.ts'
import { openPool } from './pool.ts'

/** How long each division of the cores is tried. */
const SECONDS = 0.5
/** More threads in fewer processes must win by this: with one thread, outcomes depend on fewer things. */
const ADVANTAGE = 1.1

/**
 * Tries how the cores are divided best: many processes of one thread, one of many, or between. The default, one thread
 * each, stays where nothing is clearly better; where options decide, where there is nothing to divide, and for shards,
 * which must all make the same plan.
 */
export async function measuredChoices(
  plan: Plan,
  usual: Choices,
  { jobs, threads, shard }: EvaluationRequest,
  progress: Progress,
): Promise<Choices> {
  const cores = availableParallelism()
  if (jobs !== undefined || threads !== undefined || shard || cores === 1 || blocksOf(plan).length === 1)
    return usual
  const divisions = [...new Set([usual.jobs, Math.ceil(cores / 4), 1])].map((processes) => ({
    jobs: processes,
    threads: Math.max(1, Math.floor(cores / processes)),
  }))
  const dir = await mkdtemp(join(tmpdir(), 'zoo-measure-'))
  const measured: Plan['measured'] = []
  try {
    for (const [done, division] of divisions.entries()) {
      progress({ stage: 'measure', done, total: divisions.length, unit: 'divisions of the cores' })
      const pool = openPool(
        { ...plan, jobs: division.jobs, protocol: { ...plan.protocol, threads: division.threads } },
        dir,
      )
      try {
        measured.push({ ...division, imagesPerSecond: Math.round(await pool.speed(SECONDS)) })
      } finally {
        pool.end()
      }
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  progress({
    stage: 'measure',
    done: divisions.length,
    total: divisions.length,
    unit: 'divisions of the cores',
  })
  const best = measured.reduce((a, b) => (b.imagesPerSecond > ADVANTAGE * a.imagesPerSecond ? b : a))
  return { ...usual, jobs: best.jobs, threads: best.threads, measured }
}
