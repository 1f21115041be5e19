import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import type { Progress } from '../../manifests/progress.ts'
import type { ExampleRow } from '../../manifests/schema/result.ts'
import { turnsOf } from '../attacks/table.ts'
import { tally } from '../protocol/aggregate.ts'
import { externalDigest } from '../protocol/external-digest.ts'
import { defaultChoices, makeProtocol } from '../protocol/make-plan.ts'
import { classifierAt } from '../protocol/onnx-model.ts'
import { blocksOf, type Plan } from '../protocol/plan.ts'
import { openPool } from '../protocol/pool.ts'
import { differences } from '../protocol/same-plan.ts'
import { attackBlock, cleanUnit } from '../protocol/schedule.ts'
import { dataOf } from '../protocol/stored.ts'

/** Images whose outcome was found again, and those of which it came out otherwise. */
export interface Recount {
  readonly images: number
  readonly differing: readonly number[]
}

export interface Again {
  /** All images, unperturbed. */
  readonly clean: Recount
  /** A sample of the images that are said to withstand the whole battery. */
  readonly robust: Recount
}

export interface AgainOptions {
  /** Where the model is. */
  readonly model: string
  /** What `openData` takes. */
  readonly data: string
  /** How many images are attacked again, at most. */
  readonly sample: number
  readonly progress: Progress
}

/**
 * Does a part of a finished evaluation again, by a plan made afresh: all images unperturbed, and the whole battery on
 * images drawn at random from those that are said to stand. Images that are said to be broken need no attack: they
 * are stored, and `replay` shows them to the model.
 *
 * @throws ZooError `check-failed` where the stored plan is not the one that such an evaluation has, and what
 * evaluating throws
 */
export async function evaluateAgain(
  stored: Plan,
  examples: readonly ExampleRow[],
  options: AgainOptions,
): Promise<Again> {
  const plan = await planAfresh(stored, options)
  const folder = await mkdtemp(join(tmpdir(), 'zoo-again-'))
  const pool = openPool(plan, folder)
  try {
    const clean = await Promise.all(blocksOf(plan).map((rows) => pool.run(cleanUnit(rows))))
    const right = new Set(
      clean.flatMap(({ rows, outcomes }) => rows.filter((_, i) => outcomes[0]!.broken[i] === '0')),
    )
    const rows = drawn(
      examples.filter(({ robust }) => robust).map(({ index }) => index),
      options.sample,
    )
    return {
      clean: {
        images: examples.length,
        differing: examples.filter((row) => row.clean !== right.has(row.index)).map(({ index }) => index),
      },
      robust: { images: rows.length, differing: await fallen(plan, rows, pool.run, options.progress) },
    }
  } finally {
    pool.end()
    await rm(folder, { recursive: true, force: true })
  }
}

/** What may differ without a doubt: versions, and how the work is divided. */
const DIVISION = /^(software\.|(block|batch|threads)$)/

/** The plan that the same request makes here, of the model and the data themselves. */
async function planAfresh(stored: Plan, { model, data: spec }: AgainOptions): Promise<Plan> {
  const { protocol } = stored
  const { input, outputKind, name, sha256 } = protocol.model
  const classifier = await classifierAt(model, { input, outputKind })
  const data = await dataOf({ ...stored, data: spec })
  const request = {
    model: { name, sha256, path: model },
    input,
    outputKind,
    data: spec,
    battery: protocol.battery,
    norm: protocol.threat.norm,
    eps: protocol.threat.eps ?? undefined,
    limit: protocol.examples,
    seed: protocol.seed,
    provider: protocol.provider,
    sources: Object.fromEntries(
      Object.entries(protocol.sources).map(([source, { sha256, input, outputKind: output }]) => [
        source,
        { name: source, path: stored.sourcePaths[source]!, sha256, manifest: { input, output } },
      ]),
    ),
    externalData: await externalDigest(model),
  }
  const choices = { ...defaultChoices(request, classifier, data), threads: protocol.threads, jobs: 1 }
  const afresh = await makeProtocol(request, classifier, data, choices)
  const differing = differences(protocol, afresh).filter((path) => !DIVISION.test(path))
  if (differing.length > 0)
    throw new ZooError(
      'check-failed',
      `plan.json is not what the zoo makes of this model, data and battery: ${differing.join(', ')} differ`,
    )
  // On CPU, as replay does: whoever checks need not have the submitter's hardware.
  return {
    ...stored,
    ...choices,
    protocol: { ...afresh, provider: 'cpu' },
    data: spec,
    model: { path: model },
  }
}

/** So many of the values, at random, in ascending order. */
function drawn(values: readonly number[], count: number): number[] {
  const left = [...values]
  const taken: number[] = []
  while (taken.length < count && left.length > 0) taken.push(...left.splice(randomInt(left.length), 1))
  return taken.sort((a, b) => a - b)
}

/** Which of these images the battery breaks. */
async function fallen(
  { protocol }: Plan,
  rows: readonly number[],
  run: ReturnType<typeof openPool>['run'],
  progress: Progress,
): Promise<number[]> {
  if (rows.length === 0) return []
  const total = protocol.attacks.reduce(
    (sum, entry) => sum + entry.restarts * turnsOf(entry, protocol.classes),
    0,
  )
  let done = 0
  const clean = await run(cleanUnit(rows))
  const attacks = await attackBlock(protocol, clean, async (unit) => {
    const result = await run(unit)
    progress({ stage: 'attack a sample again', done: ++done, total, unit: 'units' })
    return result
  })
  return tally(protocol, [{ clean, attacks }])
    .examples.filter(({ robust }) => !robust)
    .map(({ index }) => index)
}
