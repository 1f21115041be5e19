import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DataSet } from '../converters/data/dataset.ts'
import { openData } from '../converters/data/open.ts'
import type { Classifier } from '../converters/onnx/classifier.ts'
import { ZooError } from '../manifests/error.ts'
import type { Progress } from '../manifests/progress.ts'
import { inputSchema } from '../manifests/schema/input.ts'
import { externalDigest } from './protocol/external-digest.ts'
import { type Evaluation, finish } from './protocol/finish.ts'
import { type Ledger, openLedger } from './protocol/ledger.ts'
import { defaultChoices, makeProtocol } from './protocol/make-plan.ts'
import { measuredChoices } from './protocol/measure.ts'
import { classifierAt } from './protocol/onnx-model.ts'
import { type Plan, protocolDigest } from './protocol/plan.ts'
import { openPool } from './protocol/pool.ts'
import { checkSamePlan } from './protocol/same-plan.ts'
import { walk } from './protocol/walk.ts'
import type { EvaluationRequest } from './request.ts'

/**
 * Evaluates a model: makes the plan, or finds it in the ledger, does what is not done yet, and adds up.
 * Under `shard` the shard's part is done and `null` is the answer: `mergeLedgers` adds up.
 *
 * @throws ZooError `unsupported-model`, `invalid-data` or `usage` before any attack where model, data and options don't
 * fit together, `conflict` where the folder holds another plan, `session-crashed` when a session dies twice
 */
export async function evaluate(request: EvaluationRequest, progress: Progress): Promise<Evaluation | null> {
  const dir = request.out ?? (await mkdtemp(join(tmpdir(), 'zoo-eval-')))
  try {
    const ledger = openLedger(dir)
    const plan = await planFor(request, ledger, progress)
    const pool = openPool(plan, dir)
    try {
      // What lost its images is done again: a report and a replay need them.
      const walked = await walk(plan, { ...ledger, find: ledger.findWhole }, pool.run, progress)
      return plan.shard ? null : await finish(plan, ledger, walked)
    } finally {
      pool.end()
    }
  } finally {
    if (!request.out) await rm(dir, { recursive: true, force: true })
  }
}

/** The ledger's plan, if it is the one asked for; a new one where there is none. */
async function planFor(request: EvaluationRequest, ledger: Ledger, progress: Progress): Promise<Plan> {
  const input = request.input ?? request.manifest?.input ?? inputSchema.parse({})
  const asked = { ...request, input, outputKind: request.outputKind ?? request.manifest?.output }
  const classifier = await classifierAt(request.model.path, {
    input,
    outputKind: asked.outputKind ?? 'auto',
  })
  const externalData = await externalDigest(request.model.path)
  const data = await openData(request.data, {
    size: input.size,
    resize: input.resize,
    labelOffset: input.labelOffset,
    classes: classifier.classes,
  })
  checkFit(classifier, data, input.labelOffset)
  const stored = await ledger.plan()
  const usual = defaultChoices(asked, classifier, data)
  const choices = stored
    ? {
        ...stored.protocol,
        jobs: request.jobs ?? stored.jobs,
        measured: stored.measured,
        threads: request.threads ?? stored.protocol.threads,
      }
    : usual
  const planWith = async (kept: typeof choices): Promise<Plan> => {
    const protocol = await makeProtocol({ ...asked, externalData }, classifier, data, kept)
    return {
      schemaVersion: 1,
      digest: protocolDigest(protocol),
      protocol,
      model: { path: request.model.path },
      data: request.data,
      sourcePaths: Object.fromEntries(
        Object.entries(request.sources ?? {}).map(([name, { path }]) => [name, path]),
      ),
      jobs: kept.jobs,
      measured: kept.measured,
      shard: request.shard ?? null,
    }
  }
  let plan = await planWith(choices)
  if (stored) checkSamePlan(stored, plan, ledger.dir)
  else plan = await planWith(await measuredChoices(plan, usual, request, progress))
  await ledger.writePlan(plan)
  return plan
}

/** What can be known of model and data before an image is read. */
function checkFit(classifier: Classifier, data: DataSet, labelOffset: number): void {
  if (data.size === 0) throw new ZooError('invalid-data', `${data.name} has no images`)
  const [c, h, w] = classifier.shape
  if (classifier.shape.some((extent, i) => extent !== data.shape[i]))
    throw new ZooError(
      'invalid-data',
      `the images of ${data.name} are ${data.shape.join('x')}, the model takes ${classifier.shape.join('x')}`,
      {
        hint:
          c === data.shape[0]
            ? `--size ${h}x${w} resizes them, once, before any attack`
            : 'see --channels and --layout',
      },
    )
  const known = data.classes?.length
  if (known !== undefined && known < classifier.classes && !labelOffset)
    throw new ZooError(
      'invalid-data',
      `the model has ${classifier.classes} classes, ${data.name} has ${known}`,
      {
        hint: `--label-offset ${classifier.classes - known} if the model's first class is a background`,
      },
    )
}
