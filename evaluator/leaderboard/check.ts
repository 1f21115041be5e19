import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { asZooError, ZooError } from '../../manifests/error.ts'
import { type Progress, silent } from '../../manifests/progress.ts'
import type { Battery } from '../../manifests/schema/battery.ts'
import type { Result } from '../../manifests/schema/result.ts'
import { canonical, digestOf } from '../protocol/canonical.ts'
import { openLedger } from '../protocol/ledger.ts'
import type { Plan } from '../protocol/plan.ts'
import { dataOf } from '../protocol/stored.ts'
import { summarise } from '../protocol/summary.ts'
import { walk } from '../protocol/walk.ts'
import { replay } from '../replay.ts'
import { evaluateAgain, type Recount } from './again.ts'
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
  /** Where the data set lies that the ledger names, as `openData` takes it. */
  readonly data?: ((plan: Plan) => Promise<string>) | undefined
  /** The published battery of that id, if there is one. */
  readonly battery: (id: string) => Battery | undefined
  /** At least so many images, the data set's first; the whole data set where absent. */
  readonly images?: number | undefined
  /** The seed that the board drew. */
  readonly seed?: number | undefined
  /** Whether stored images are run again through a fresh session. */
  readonly replay: boolean
  /** How many of the images that stand are attacked again, at most; 0 leaves that out. */
  readonly sample: number
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
  ['sample', sampleAgrees],
]

/**
 * Whether the board may take an evaluation, check by check. It recomputes every number from the ledger's units, shows
 * the model the images that are said to be broken, and attacks some of those that are said to stand: neither an edited
 * result nor edited units pass.
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

/** What depends on when and where the units were added up. */
const CIRCUMSTANCES: ReadonlySet<keyof Result> = new Set(['date', 'software'])

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
  for (const key of Object.keys(summary.result) as (keyof Result)[])
    if (!CIRCUMSTANCES.has(key) && canonical(summary.result[key]) !== canonical(evaluation.result[key]))
      fail(`the units don't add up to the \`${key}\` that result.json claims`)
  if (canonical(summary.examples) !== canonical(evaluation.examples))
    fail("the units don't add up to the outcomes that examples.json claims")
  return `${units} units add up to every number`
}

/** Where the model is, if it is anywhere. */
function modelPath({ plan, options }: Submission): string {
  const path = options.model ?? plan?.model.path
  if (path === undefined || !existsSync(path))
    throw new Skipped('the model is not here: give it with --model')
  return path
}

async function modelIsTheOne(submission: Submission): Promise<string> {
  const path = modelPath(submission)
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  const found = hash.digest('hex')
  const { sha256 } = submission.evaluation.result.model
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
  const data = await dataOf({ ...plan, data: await options.data(plan) })
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

async function replayAgrees(submission: Submission): Promise<string> {
  const { evaluation, options, plan } = submission
  if (!options.replay) throw new Skipped('not asked for')
  modelPath(submission)
  if (!plan || !options.data) throw new Skipped('the data set was not given')
  const data = await dataOf({ ...plan, data: await options.data(plan) })
  const places = { model: options.model, data }
  const { images, disagreements } = await replay(evaluation.dir, options.progress, places)
  const [first] = disagreements
  if (first)
    fail(
      `${disagreements.length} of ${images} stored images give another outcome: image ${first.index}, broken by ${first.attack}: recorded ${first.recorded}, found ${first.found}`,
    )
  return `${images} stored images give the recorded outcome`
}

/** Outcomes with margins below a thousandth come out otherwise on another processor: so many of so many may. */
const SLIPS = { clean: 1 / 500, robust: 1 / 16 }

/** Stored images prove what was broken; that the others stand, and were classified rightly, has to be seen again. */
async function sampleAgrees(submission: Submission): Promise<string> {
  const { evaluation, options, plan } = submission
  if (options.sample === 0) throw new Skipped('not asked for')
  if (!plan || !options.data) throw new Skipped('the data set was not given')
  const { clean, robust } = await evaluateAgain(plan, evaluation.examples, {
    model: modelPath(submission),
    data: await options.data(plan),
    sample: options.sample,
    progress: options.progress,
  })
  const tooMany = ({ images, differing }: Recount, slips: number) =>
    differing.length > Math.ceil(images * slips)
  if (tooMany(clean, SLIPS.clean))
    fail(
      `${clean.differing.length} of ${clean.images} images have another clean outcome: image ${clean.differing[0]} is one`,
    )
  if (tooMany(robust, SLIPS.robust))
    fail(
      `of ${robust.images} images that are said to stand, drawn at random, the same battery breaks ${robust.differing.length}: image ${robust.differing[0]} is one`,
    )
  return `${clean.images} clean outcomes, and ${robust.images - robust.differing.length} of ${robust.images} images attacked again, are as recorded`
}
