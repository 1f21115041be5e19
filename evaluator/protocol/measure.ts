import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Progress } from '../../manifests/progress.ts'
import { passesOf } from '../attacks/table.ts'
import type { EvaluationRequest } from '../request.ts'
import type { Choices } from './make-plan.ts'
import { blocksOf, type Plan } from './plan.ts'
import { openPool } from './pool.ts'

/** How long each division of the cores is tried. */
const SECONDS = 0.5
/** An evaluation that takes less than this is not worth trying others. */
const WORTH_SECONDS = 60
/** More threads in fewer processes must win by this: with one thread, outcomes depend on fewer things. */
const ADVANTAGE = 1.1

/**
 * Tries how the cores are divided best: many processes of one thread, one of many, or between. The default, one thread
 * each, stays where nothing is clearly better; where options decide, where there is nothing to divide or little to do,
 * and for shards, which must all make the same plan.
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
  const divisions = [...new Set([usual.jobs, Math.ceil(cores / 4), 1])]
    .filter((processes) => processes <= usual.jobs)
    .map((processes) => ({ jobs: processes, threads: Math.max(1, Math.floor(cores / processes)) }))
  const measured: Plan['measured'] = []
  for (const [done, division] of divisions.entries()) {
    progress({ stage: 'try divisions of the cores', done, total: divisions.length })
    measured.push({ ...division, imagesPerSecond: await speedOf(plan, division) })
    if (passes(plan) / measured[0]!.imagesPerSecond < WORTH_SECONDS) break
  }
  progress({ stage: 'try divisions of the cores', done: divisions.length, total: divisions.length })
  const best = measured.reduce((a, b) => (b.imagesPerSecond > ADVANTAGE * a.imagesPerSecond ? b : a))
  return { ...usual, jobs: best.jobs, threads: best.threads, measured }
}

async function speedOf(plan: Plan, { jobs, threads }: { jobs: number; threads: number }): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'zoo-measure-'))
  const pool = openPool({ ...plan, jobs, protocol: { ...plan.protocol, threads } }, dir)
  try {
    return Math.round(await pool.speed(SECONDS))
  } finally {
    pool.end()
    await rm(dir, { recursive: true, force: true })
  }
}

/** Passes that the evaluation takes if every example stands to the end. */
const passes = ({ protocol: { attacks, classes, examples } }: Plan): number =>
  examples * attacks.reduce((sum, entry) => sum + passesOf(entry, classes), 0)
