import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { env, InferenceSession, listSupportedBackends, Tensor as OrtTensor } from 'onnxruntime-node'
import { ZooError } from '../../../manifests/error.ts'
import { encodeModel } from '../codec.ts'
import { storedLength } from '../external-data.ts'
import { writeModel } from '../file.ts'
import type { Model } from '../graph.ts'
import { type DataType, Tensor } from '../tensor.ts'
import { checkFeeds } from './feeds.ts'
import type { Feeds, ModelSource, Provider, Session, SessionOptions, SessionValue } from './session.ts'

// Failures come back as errors; onnxruntime need not print them as well.
env.logLevel = 'fatal'

export interface LocalOptions extends SessionOptions {
  /** Where to write the model as onnxruntime has optimised it: good for this version, provider and processor only. */
  readonly writeOptimised?: string
}

/** A session in this process. */
export interface LocalSession extends Session {
  /** Computes every output; those that `into` names are written to the tensors it gives, whose memory may be used again. */
  run(feeds: Feeds, into?: Feeds): Promise<Record<string, Tensor>>
}

/** A model with more weights than this reaches onnxruntime as a file: in memory it would exist twice or three times. */
const LARGEST_IN_MEMORY = 256e6

/**
 * Opens a model in this process, with onnxruntime-node. `run` blocks the process while it computes, timers included,
 * and a crash of the runtime takes the process down: for worker processes, tests and models of our own making.
 * Elsewhere use `openChildSession`.
 *
 * @throws ZooError `backend-unavailable` if the provider isn't there, `unsupported-model` if onnxruntime lacks an
 *   operator, `invalid-model` if it refuses the model
 */
export async function openSession(source: ModelSource, options: LocalOptions = {}): Promise<LocalSession> {
  if (typeof source === 'string' || source instanceof Uint8Array) return open(source, options)
  let size = 0
  for (const tensor of source.graph.initializers.values()) size += storedLength(tensor)
  return size > LARGEST_IN_MEMORY ? openByFile(source, options) : open(encodeModel(source), options)
}

async function openByFile(model: Model, options: LocalOptions): Promise<LocalSession> {
  const folder = await mkdtemp(join(tmpdir(), 'zoo-session-'))
  try {
    const path = join(folder, 'model.onnx')
    await writeModel(model, path, { externalAbove: 0 })
    return await open(path, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function open(source: string | Uint8Array, options: LocalOptions): Promise<LocalSession> {
  const { provider = 'cpu', threads = availableParallelism(), optimisation = 'all' } = options
  const { returnMemory = false, writeOptimised } = options
  if (!listSupportedBackends().some((backend) => backend.name === provider)) throw unavailable(provider)
  const settings: InferenceSession.SessionOptions = {
    executionProviders: provider === 'cpu' ? ['cpu'] : [provider, 'cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: optimisation,
    // The plan of memory for the first run's shapes costs a third more than it saves: ResNet-50's gradient takes
    // 1.2 GB with it, 0.9 GB without, at the same speed. (Without the arena it would take as much and 12 % longer.)
    enableMemPattern: false,
    enableCpuMemArena: !returnMemory,
    ...(writeOptimised !== undefined && { optimizedModelFilePath: writeOptimised }),
    extra: {
      // Waiting threads sleep: several sessions share a machine's cores.
      session: { intra_op: { allow_spinning: '0' } },
      // It makes zeros that a MaxPool reads into padding that it doesn't read: wrong wherever numbers are negative.
      optimization: { disable_specified_optimizers: 'Pad_Fusion' },
    },
    logSeverityLevel: 4,
  }
  let session: InferenceSession
  try {
    session =
      typeof source === 'string'
        ? await InferenceSession.create(source, settings)
        : await InferenceSession.create(source, settings)
  } catch (error) {
    throw refusal(error as Error, provider)
  }
  return new OrtSession(session)
}

class OrtSession implements LocalSession {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  readonly #session: InferenceSession

  constructor(session: InferenceSession) {
    this.#session = session
    this.inputs = session.inputMetadata.map(sessionValue)
    // Sequences and maps, which some classifiers give beside their scores, are left out.
    this.outputs = session.outputMetadata.filter((value) => value.isTensor).map(sessionValue)
  }

  async run(feeds: Feeds, into: Feeds = {}): Promise<Record<string, Tensor>> {
    checkFeeds(this.inputs, feeds)
    const given = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]))
    const wanted = this.outputs.map(({ name }) => [name, into[name] ? toOrt(into[name]) : null] as const)
    try {
      const results = await this.#session.run(given, Object.fromEntries(wanted))
      return Object.fromEntries(
        wanted.map(([name]) => [name, into[name] ?? fromOrt(results[name] as OrtTensor)]),
      )
    } catch (error) {
      throw new ZooError('unsupported-model', `the model cannot be computed: ${reason(error as Error)}`, {
        hint: 'it may allow only one batch size, or need another input than its declaration says',
        cause: error,
      })
    }
  }

  async release(): Promise<void> {
    await this.#session.release()
  }
}

function sessionValue(value: InferenceSession.ValueMetadata): SessionValue {
  if (!value.isTensor) throw new ZooError('unsupported-model', `input "${value.name}" is not a tensor`)
  const dims = value.shape.map((dim) => (dim === '' ? null : dim))
  return { name: value.name, dtype: value.type as DataType, dims }
}

function toOrt(tensor: Tensor): OrtTensor {
  if (tensor.strings) return new OrtTensor('string', [...tensor.strings], tensor.dims)
  return new OrtTensor(tensor.dtype as OrtTensor.Type, tensor.elements as OrtTensor.DataType, tensor.dims)
}

function fromOrt(tensor: OrtTensor): Tensor {
  const dtype = tensor.type as DataType
  if (tensor.type === 'string')
    return new Tensor(dtype, tensor.dims, new Uint8Array(), tensor.data as string[])
  return Tensor.of(dtype, tensor.dims, tensor.data as Exclude<typeof tensor.data, string[]>)
}

/** How onnxruntime says that a sound model is beyond it. */
const UNSUPPORTED =
  /not find an implementation|not implemented|is not a registered function|No Op registered|opset \d+ is under development/i

function refusal(error: Error, provider: Provider): ZooError {
  const why = reason(error)
  if (UNSUPPORTED.test(why))
    return new ZooError('unsupported-model', `onnxruntime cannot run this model: ${why}`, { cause: error })
  if (provider !== 'cpu' && /provider|CUDA|cuDNN|webgpu|dawn|shared library/i.test(why))
    return new ZooError('backend-unavailable', `provider ${provider} cannot start: ${why}`, {
      hint: 'see what works here with `zoo doctor`',
      cause: error,
    })
  return new ZooError('invalid-model', `onnxruntime refuses this model: ${why}`, { cause: error })
}

const unavailable = (provider: Provider): ZooError =>
  new ZooError('backend-unavailable', `onnxruntime has no provider ${provider} here`, {
    hint:
      provider === 'cuda'
        ? 'install the GPU parts with `zoo setup onnxruntime-cuda`, then look with `zoo doctor`'
        : 'see what works here with `zoo doctor`',
  })

/** onnxruntime's message without the places in its own sources. */
const reason = (error: Error): string =>
  error.message
    .replace(/\/[\w./-]+\.(cc|h):\d+\s*/g, '')
    .replace(/\b\w+ onnxruntime::.*?\) (const )?/g, '')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 600)
