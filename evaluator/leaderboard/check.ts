import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { DataSet } from '../../converters/data/dataset.ts'
import { asZooError, ZooError } from '../../manifests/error.ts'
import { type Progress, silent } from '../../manifests/progress.ts'
import type { Battery } from '../../manifests/schema/battery.ts'
import { canonical, digestOf } from '../protocol/canonical.ts'
import { openLedger } from '../protocol/ledger.ts'
import type { Plan } from '../protocol/plan.ts'
import { summarise } from '../protocol/summary.ts'
import { walk } from '../protocol/walk.ts'
import { replay } from '../replay.ts'
import { type Evaluation, readEvaluation } from './evaluation.ts'

export interface Finding {
  readonly check: string
  /** `skipped`: what it needs was not given; the reason says what. */
  readonly verdict: 'passed' | 'failed' | 'skipped'
  readonly detail: string
}

export interface CheckReport {
  readonly dir: string
  /** Nothing failed. What was skipped stands in the findings. */
  readonly passed: boolean
  readonly findings: readonly Finding[]
}

export interface CheckOptions {
  /** The model that was evaluated; the ledger's own note of where it lay is tried otherwise. */
  readonly model?: string | undefined
  /** Opens the data set that the ledger names. */
  readonly data?: ((plan: Plan) => Promise<DataSet>) | undefined
  /** The published battery of that id, if there is one. */
  readonly battery: (id: string) => Battery | undefined
  /** At least so many images, the data set's first; the whole data set where absent. */
  readonly images?: number | undefined
  /** The seed that the board drew. */
  readonly seed?: number | undefined
  /** Whether stored images are run again through a fresh session. */
  readonly replay: boolean
  readonly progress: Progress
}

interface Submission {
  readonly evaluation: Evaluation
  readonly plan: Plan | null
  readonly options: CheckOptions
}

type Check = (submission: Submission) => Promise<string>

/** What a submission must satisfy, in order. A check answers with what it saw, or throws what is wrong. */
const CHECKS: readonly [name: string, check: Check][] = [
  ['ledger complete', ledgerComplete],
  ['model', modelIsTheOne],
  ['battery', batteryIsPublished],
  ['data', dataIsTheOne],
  ['images', imagesArePublished],
  ['seed', seedIsPublished],
  ['flags explained', flagsExplained],
  ['replay', replayAgrees],
]

/**
 * Whether the board may take an evaluation, check by check. It recomputes every number from the ledger's units, so a
 * result that was edited doesn't pass.
 *
 * @param dir a folder that `zoo eval --out` kept
 */
export async function checkSubmission(dir: string, options: CheckOptions): Promise<CheckReport> {
  const findings: Finding[] = []
  const opened = await attempt('schema', async () => {
    const evaluation = await readEvaluation(dir)
    return { evaluation, plan: await openLedger(dir).plan(), options }
  })
  findings.push(opened.finding)
  if (opened.value)
    for (const [name, check] of CHECKS) findings.push((await attempt(name, check, opened.value)).finding)
  return { dir, passed: findings.every(({ verdict }) => verdict !== 'failed'), findings }
}

/** Something that cannot be checked with what was given. */
class Skipped extends Error {}

async function attempt<A, T>(
  check: string,
  run: (argument: A) => Promise<T>,
  argument?: A,
): Promise<{ finding: Finding; value?: T }> {
  try {
    const value = await run(argument as A)
    return { finding: { check, verdict: 'passed', detail: typeof value === 'string' ? value : '' }, value }
  } catch (error) {
    if (error instanceof Skipped) return { finding: { check, verdict: 'skipped', detail: error.message } }
    const failure = asZooError(error)
    if (failure.code === 'internal') throw error
    return { finding: { check, verdict: 'failed', detail: failure.message } }
  }
}

const fail = (message: string): never => {
  throw new ZooError('check-failed', message)
}

/** Every unit of the plan is there, and together they give the numbers that are claimed. */
async function ledgerComplete({ evaluation, plan }: Submission): Promise<string> {
  if (!plan) return fail('plan.json is missing: hand in the whole folder that `zoo eval --out` kept')
  if (plan.shard) return fail('this is one shard of an evaluation: join all with `zoo merge`')
  if (digestOf(plan.protocol) !== plan.digest || evaluation.result.plan !== plan.digest)
    return fail('plan.json and result.json are not of the same evaluation')
  let units = 0
  const walked = await walk(
    plan,
    {
      ...openLedger(evaluation.dir),
      find: async (id) => {
        const unit = await openLedger(evaluation.dir).find(id)
        if (unit) units++
        return unit
      },
    },
    (unit) =>
      fail(
        `the ledger is not complete: a unit over images ${unit.rows[0]} to ${unit.rows.at(-1)} is missing`,
      ),
    silent,
  )
  const summary = summarise(plan, walked)
  for (const key of [
    'clean',
    'robust',
    'attacks',
    'curve',
    'flags',
    'dataset',
    'battery',
    'threat',
    'model',
  ] as const)
    if (canonical(summary.result[key]) !== canonical(evaluation.result[key]))
      fail(`the units don't add up to the \`${key}\` that result.json claims`)
  if (canonical(summary.examples) !== canonical(evaluation.examples))
    fail("the units don't add up to the outcomes that examples.json claims")
  return `${units} units add up to every number`
}

async function modelIsTheOne({ evaluation, plan, options }: Submission): Promise<string> {
  const path = options.model ?? plan?.model.path
  if (path === undefined || !existsSync(path))
    throw new Skipped('the model is not here: give it with --model')
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  const found = hash.digest('hex')
  const { sha256 } = evaluation.result.model
  if (found !== sha256)
    fail(`${path} is not the model that was evaluated: its sha256 is ${found}, not ${sha256}`)
  return `sha256 ${sha256}`
}

async function batteryIsPublished({ evaluation, options }: Submission): Promise<string> {
  const { id, version, sha256 } = evaluation.result.battery
  const published = options.battery(id)
  if (!published) return fail(`there is no published battery ${id}`)
  if (published.version !== version) fail(`battery ${id} is at version ${published.version}, not ${version}`)
  if (digestOf(published) !== sha256)
    fail(`the battery that was used is not the published ${id} version ${version}`)
  return `${id} version ${version}`
}

async function dataIsTheOne({ evaluation, plan, options }: Submission): Promise<string> {
  if (!plan || !options.data) throw new Skipped('the data set was not given')
  const data = await options.data(plan)
  const { name, sha256, size } = evaluation.result.dataset
  if (data.sha256 !== sha256)
    fail(`${name} is not the data that the model was evaluated on: its sha256 is ${data.sha256}`)
  if (data.size !== size) fail(`${name} has ${data.size} images, not ${size}`)
  const rows = evaluation.examples.map(({ index }) => index)
  const { labels } = await data.read(rows)
  const wrong = evaluation.examples.find(({ label }, i) => label !== labels[i])
  if (wrong) fail(`image ${wrong.index} of ${name} has not the label ${wrong.label}`)
  return `${name}, sha256 ${sha256}`
}

async function imagesArePublished({ evaluation, options }: Submission): Promise<string> {
  const { size } = evaluation.result.dataset
  const wanted = Math.min(options.images ?? size, size)
  const { examples } = evaluation
  if (examples.some(({ index }, i) => index !== i)) fail("the images are not the data set's first ones")
  if (examples.length < wanted) fail(`${examples.length} images were evaluated; the board asks for ${wanted}`)
  return examples.length === size ? `all ${size}` : `the first ${examples.length}`
}

async function seedIsPublished({ evaluation, options }: Submission): Promise<string> {
  const { seed } = evaluation.result
  if (options.seed !== undefined && seed !== options.seed)
    fail(`the seed is ${seed}; the board drew ${options.seed}`)
  return String(seed)
}

async function flagsExplained({ evaluation }: Submission): Promise<string> {
  const { result, explanations } = evaluation
  const silentOnes = result.flags.filter(({ name }) => !explanations[name])
  if (silentOnes.length > 0)
    fail(
      `no explanation of ${silentOnes.map(({ name }) => name).join(', ')}: write submission.json with { "schemaVersion": 1, "explanations": { "${silentOnes[0]!.name}": "..." } }`,
    )
  return result.flags.length === 0 ? 'no flags' : `${result.flags.length} explained`
}

async function replayAgrees({ evaluation, options, plan }: Submission): Promise<string> {
  if (!options.replay) throw new Skipped('not asked for')
  if (!plan || !options.data) throw new Skipped('the data set was not given')
  const places = { model: options.model, data: await options.data(plan) }
  const { images, disagreements } = await replay(evaluation.dir, options.progress, places)
  const [first] = disagreements
  if (first)
    fail(
      `${disagreements.length} of ${images} stored images give another outcome: image ${first.index}, broken by ${first.attack}: recorded ${first.recorded}, found ${first.found}`,
    )
  return `${images} stored images give the recorded outcome`
}
