import { availableParallelism, totalmem } from 'node:os'
import type { DataSet } from '../../converters/data/dataset.ts'
import type { Classifier } from '../../converters/onnx/classifier.ts'
import { storedLength } from '../../converters/onnx/external-data.ts'
import { lossGradient } from '../../converters/onnx/gradient/loss-gradient.ts'
import { ZooError } from '../../manifests/error.ts'
import { packageVersion } from '../../manifests/package.ts'
import type { AttackEntry, Battery } from '../../manifests/schema/battery.ts'
import type { InputDescription } from '../../manifests/schema/input.ts'
import { needsOf } from '../attacks/table.ts'
import { parseEps } from '../eps.ts'
import type { EvaluationRequest } from '../request.ts'
import { ortVersion } from './ort-version.ts'
import type { Plan, Protocol } from './plan.ts'
import { sourcesOf } from './sources.ts'

/** Elements that a batch holds: 128 images of CIFAR's size; of larger ones as many as fit, but not too few to be fast. */
const BATCH_ELEMENTS = 128 * 3 * 32 * 32
const LARGEST_BATCH = 128
const SMALLEST_BATCH = 8
/**
 * A block is this many batches at most, so that the rest still fills a batch as examples fall; and an eighth of the
 * examples at most, if that is not too few, so that cores and shards find work.
 */
const BATCHES_PER_BLOCK = 2

/** Choices that are made once and kept: an older plan's stay, unless options say otherwise. */
export type Choices = Pick<Protocol, 'block' | 'batch' | 'threads'> & Pick<Plan, 'jobs' | 'measured'>

/** What the request, the model and the data make of a battery; no measurement is part of it. */
export async function makeProtocol(
  request: EvaluationRequest & {
    readonly input: InputDescription
    readonly externalData: string | undefined
  },
  classifier: Classifier,
  data: DataSet,
  choices: Choices,
): Promise<Protocol> {
  const { battery, model } = request
  const threat = await threatOf(request, data)
  const gradients = await gradientsOf(classifier, request)
  const { attacks, skipped } = suited(battery, threat.norm, gradients.reason)
  return {
    model: {
      name: model.name,
      sha256: model.sha256,
      ...(request.externalData !== undefined && { externalData: request.externalData }),
      input: request.input,
      outputKind: request.outputKind ?? 'auto',
    },
    dataset: { name: data.name, sha256: data.sha256, size: data.size },
    examples: Math.min(request.limit ?? data.size, data.size),
    battery,
    attacks,
    classes: classifier.classes,
    skipped,
    threat,
    ...(classifier.logarithm && { logarithm: true }),
    gradients: gradients.reason === undefined,
    ...(gradients.reason !== undefined && { gradientsReason: gradients.reason }),
    sources: await sourcesOf(request, classifier),
    seed: request.seed,
    block: choices.block,
    batch: choices.batch,
    threads: choices.threads,
    provider: request.provider,
    software: { 'robust-zoo': packageVersion(), onnxruntime: ortVersion() },
  }
}

/**
 * Block, batch, processes and threads where nothing has been measured. Block and batch are the same on every machine.
 * Every core has a process of one thread where blocks and memory allow, else fewer processes have more;
 * shards, which must agree, always have one thread unless options say otherwise.
 */
export function defaultChoices(request: EvaluationRequest, classifier: Classifier, data: DataSet): Choices {
  const size = classifier.shape.reduce((product, dim) => product * dim, 1)
  const examples = Math.min(request.limit ?? data.size, data.size)
  const fitting = Math.floor(BATCH_ELEMENTS / size)
  const batch = classifier.batch ?? Math.min(Math.max(fitting, SMALLEST_BATCH), LARGEST_BATCH)
  const block = Math.max(
    1,
    Math.min(BATCHES_PER_BLOCK * Math.max(batch, SMALLEST_BATCH), Math.max(Math.ceil(examples / 8), 16)),
  )
  const cores = availableParallelism()
  const most = Math.max(
    1,
    Math.min(Math.ceil(examples / block), Math.floor(totalmem() / memoryOf(classifier))),
  )
  const jobs = request.jobs ?? Math.max(1, Math.min(Math.floor(cores / (request.threads ?? 1)), most))
  const threads = request.threads ?? (request.shard ? 1 : Math.max(1, Math.floor(cores / jobs)))
  return { batch, block, threads, jobs, measured: [] }
}

/** What a worker may take, in bytes: a process with its libraries, and the weights in a forward and two gradient sessions. */
const memoryOf = ({ model }: Classifier): number =>
  4e8 + 8 * [...model.graph.initializers.values()].reduce((sum, tensor) => sum + storedLength(tensor), 0)

async function threatOf(request: EvaluationRequest, data: DataSet): Promise<Protocol['threat']> {
  const { battery, manifest } = request
  const targeted = battery.attacks.every((entry) => entry.kind === 'pgd' && entry.targets !== undefined)
  const customary = battery.threats.filter(({ dataset }) => data.name.split(':')[0]!.startsWith(dataset))
  const norm =
    request.norm ?? manifest?.threat?.norm ?? customary[0]?.norm ?? battery.threats[0]?.norm ?? 'linf'
  if (request.eps !== undefined) {
    const eps = parseEps(request.eps)
    if (norm === 'linf' && eps > 1)
      throw new ZooError(
        'usage',
        `an linf perturbation of ${request.eps} is larger than the whole range [0,1]`,
        {
          hint: `eps is a fraction of that range: --eps ${request.eps}/255?`,
        },
      )
    return { norm, eps, targeted }
  }
  if ((await data.read([0])).eps) return { norm, eps: null, targeted }
  const trained = manifest?.threat
  if (trained?.norm === norm && trained.eps > 0) return { norm, eps: trained.eps, targeted }
  const usual = customary.find((threat) => threat.norm === norm)
  if (usual) return { norm, eps: parseEps(usual.eps), targeted }
  throw new ZooError(
    'usage',
    `how large may a perturbation be? ${data.name} has no customary ${norm} radius in ${battery.id}`,
    {
      hint: 'give --eps, such as --eps 8/255',
    },
  )
}

/** Whether the model can be differentiated; if not, why. */
async function gradientsOf(
  classifier: Classifier,
  { provider }: EvaluationRequest,
): Promise<{ reason?: string }> {
  try {
    await lossGradient(classifier, { loss: 'ce', provider })
    return {}
  } catch (error) {
    if (error instanceof ZooError && error.code === 'unsupported-model') return { reason: error.message }
    throw error
  }
}

function suited(
  battery: Battery,
  norm: Protocol['threat']['norm'],
  noGradients: string | undefined,
): Pick<Protocol, 'attacks' | 'skipped'> {
  const attacks: AttackEntry[] = []
  const skipped: Protocol['skipped'] = []
  for (const entry of battery.attacks) {
    if (entry.norms && !entry.norms.includes(norm))
      skipped.push({ name: entry.name, reason: `not for ${norm}` })
    else if (
      noGradients !== undefined &&
      needsOf(entry) === 'gradients' &&
      !('source' in entry && entry.source)
    )
      skipped.push({ name: entry.name, reason: 'the model has no gradients' })
    else attacks.push(entry)
  }
  // A battery may hold one attack in several forms, for different norms.
  const others = skipped.filter(({ name }) => !attacks.some((entry) => entry.name === name))
  if (attacks.length > 0) return { attacks, skipped: others }
  throw new ZooError(
    noGradients === undefined ? 'usage' : 'unsupported-model',
    noGradients === undefined
      ? `no attack of ${battery.id} is for ${norm}`
      : `every attack of ${battery.id} needs gradients, and the model has none: ${noGradients}`,
    {
      hint:
        noGradients === undefined
          ? 'choose another --norm or --battery'
          : '--battery gradient-free attacks without them',
    },
  )
}
