import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import type { Battery } from '../../manifests/schema/battery.ts'
import type { PlannedTrack } from '../../manifests/schema/board-plan.ts'
import type { InputDescription } from '../../manifests/schema/input.ts'
import { parseEps } from '../eps.ts'
import { digestOf } from '../protocol/canonical.ts'
import type { EvaluationRequest, ModelFile } from '../request.ts'
import { type Evaluation, readEvaluation } from './evaluation.ts'
import { epsText, slug } from './format.ts'
import { type Draw, roundSeed } from './rounds.ts'
import type { ModelCard } from './tracks.ts'

/** A model that is at hand, and the data set whose tracks it joins. */
export interface Candidate {
  readonly file: ModelFile
  readonly dataset: string
  /** The batteries whose tracks it joins, as the tracks call them; all where absent. */
  readonly batteries?: readonly string[] | undefined
  /** What it is evaluated by: its file's manifest, or what the board's plan says of a bare file. */
  readonly input?: InputDescription | undefined
  readonly outputKind?: EvaluationRequest['outputKind']
  readonly card?: ModelCard | undefined
  /** How commands name it. */
  readonly spec: string
}

/** One evaluation that the board needs: a model in a track. */
export interface Job {
  /** Also the ledger's folder within the store. */
  readonly id: string
  readonly candidate: Candidate
  readonly track: PlannedTrack
  readonly battery: Battery
  readonly seed: number
  /** The ledger's folder. */
  readonly dir: string
  readonly state: 'finished' | 'begun' | 'new'
}

/**
 * What the board needs and what of it the store has: every model in every track that it joins. Everything that
 * decides an outcome is in a job's name, so a change of plan makes new jobs and leaves old ledgers alone.
 *
 * @param readBattery a battery by how the plan calls it
 * @throws ZooError `usage` when no model fits any track, `invalid-manifest` for a damaged ledger
 */
export async function planJobs(
  tracks: readonly PlannedTrack[],
  candidates: readonly Candidate[],
  store: string,
  readBattery: (id: string) => Battery,
  draw?: Draw,
): Promise<Job[]> {
  const jobs: Job[] = []
  for (const track of tracks) {
    const joining = candidates.filter(
      ({ dataset, batteries }) =>
        dataset === track.dataset && (batteries === undefined || batteries.includes(track.battery)),
    )
    const battery = readBattery(track.battery)
    const name = `${slug(basename(track.dataset))}-${track.norm}-${slug(epsText(parseEps(track.eps)))}-${battery.id}-v${slug(battery.version)}`
    const seed =
      track.seed === 'fresh'
        ? await roundSeed(
            store,
            name,
            joining.map(({ file }) => file.sha256),
            draw,
          )
        : track.seed
    for (const candidate of joining) {
      const { file } = candidate
      const id = `${name}/${slug(file.name)}-${file.sha256.slice(0, 8)}-n${track.images}-s${seed}`
      const dir = join(store, id)
      const job = { id, candidate, track, battery, seed, dir }
      jobs.push({ ...job, state: await stateOf(job) })
    }
  }
  if (jobs.length === 0)
    throw new ZooError('usage', 'no model of the plan fits any of its tracks', {
      hint: 'a model joins the tracks of its data set: give `dataset` where no manifest says it',
    })
  return jobs
}

async function stateOf(job: Omit<Job, 'state'>): Promise<Job['state']> {
  if (!existsSync(join(job.dir, 'result.json')) || !existsSync(join(job.dir, 'examples.json')))
    return existsSync(join(job.dir, 'plan.json')) ? 'begun' : 'new'
  const wrong = mismatch(job, await readEvaluation(job.dir))
  if (wrong)
    throw new ZooError('conflict', `${job.dir} holds another evaluation: ${wrong} differs`, {
      hint: 'move it away, or correct the plan; a changed battery needs a new version',
    })
  return 'finished'
}

/** What a ledger was made with that the job isn't. */
function mismatch(
  { candidate, track, battery, seed }: Omit<Job, 'state'>,
  { result, examples }: Evaluation,
): string | undefined {
  const expected: [string, unknown, unknown][] = [
    ['the model', result.model.sha256, candidate.file.sha256],
    ['the battery', result.battery.sha256, digestOf(battery)],
    ['the norm', result.threat.norm, track.norm],
    ['eps', result.threat.eps, parseEps(track.eps)],
    ['the seed', result.seed, seed],
    ['the number of images', examples.length, Math.min(track.images, result.dataset.size)],
  ]
  return expected.find(([, found, wanted]) => found !== wanted)?.[0]
}
