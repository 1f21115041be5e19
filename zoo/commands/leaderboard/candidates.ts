import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, relative, resolve } from 'node:path'
import type { Candidate, Job } from '../../../evaluator/leaderboard/jobs.ts'
import { planJobs } from '../../../evaluator/leaderboard/jobs.ts'
import { readBattery } from '../../../manifests/batteries/read.ts'
import { asZooError, ZooError } from '../../../manifests/error.ts'
import { type BoardPlan, boardPlanSchema, type PlannedModel } from '../../../manifests/schema/board-plan.ts'
import { parseAs } from '../../../manifests/schema/parse.ts'
import { modelArgument } from '../../model-argument.ts'
import { modelCards } from '../../model-cards.ts'
import type { Client } from '../../registry/client.ts'

/** The board's plan, with paths in it taken from its own folder. */
export async function readBoardPlan(path: string): Promise<BoardPlan> {
  const text = await readFile(path, 'utf8').catch((error) => {
    throw asZooError(error)
  })
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw new ZooError('invalid-manifest', `${path} is not JSON: ${(error as Error).message}`)
  }
  const plan = parseAs(boardPlanSchema, document, path)
  const fromPlan = (spec: string): string => {
    const local = resolve(dirname(path), spec)
    return existsSync(local) ? relative('', local) : spec
  }
  return {
    ...plan,
    tracks: plan.tracks.map((track) => ({
      ...track,
      dataset: fromPlan(track.dataset),
      battery: fromPlan(track.battery),
    })),
    models: plan.models.map((model) => ({
      ...model,
      model: fromPlan(model.model),
      ...(model.dataset !== undefined && { dataset: fromPlan(model.dataset) }),
      ...(model.batteries && { batteries: model.batteries.map(fromPlan) }),
    })),
  }
}

/** The jobs of a board's plan, its models brought to this machine. */
export async function jobsOf(plan: BoardPlan, store: string, client: Client): Promise<Job[]> {
  const candidates: Candidate[] = []
  for (const planned of plan.models) candidates.push(await candidateOf(planned, client))
  return planJobs(plan.tracks, candidates, store, readBattery)
}

async function candidateOf(planned: PlannedModel, client: Client): Promise<Candidate> {
  const { name, path, sha256, manifest } = await modelArgument(client, planned.model)
  const dataset = planned.dataset ?? manifest?.dataset
  if (dataset === undefined)
    throw new ZooError('usage', `which data set is ${planned.model} for? It has no manifest that says`, {
      hint: 'give `dataset` beside it in the plan',
    })
  return {
    file: { name, path, sha256 },
    dataset,
    batteries: planned.batteries,
    input: planned.input,
    outputKind: planned.output,
    ...(manifest && { card: (await modelCards(client, [{ name, sha256 }])).get(sha256) ?? { manifest } }),
    spec: planned.model,
  }
}
