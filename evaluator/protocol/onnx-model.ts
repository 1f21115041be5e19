import { type Classifier, prepareClassifier } from '../../converters/onnx/classifier.ts'
import { readModel } from '../../converters/onnx/file.ts'
import { lossGradient } from '../../converters/onnx/gradient/loss-gradient.ts'
import { type Loss as GraphLoss, LOSSES } from '../../converters/onnx/gradient/losses.ts'
import { openSession } from '../../converters/onnx/runtime/open.ts'
import type { Feeds, Provider, Session } from '../../converters/onnx/runtime/session.ts'
import { Tensor } from '../../converters/onnx/tensor.ts'
import { ZooError } from '../../manifests/error.ts'
import type { InputDescription } from '../../manifests/schema/input.ts'
import type { Loss } from '../attacks/attack.ts'
import type { AttackedModel, GradientQuery } from './model.ts'

export interface ModelSettings {
  readonly input: InputDescription
  readonly outputKind: 'auto' | 'logits' | 'log-probabilities' | 'probabilities'
  readonly batch: number
  readonly threads: number
  readonly provider: Provider
}

/** Gradient sessions kept open at a time: each holds the weights once more. */
const KEPT_SESSIONS = 2

/** The loss of the gradient graph that gives an attack's. */
const graphLoss = (loss: Loss): GraphLoss => (loss === 'difference' ? 'linear' : loss)

/** Reads a model and prepares it for attacks on images in [0,1], NCHW. */
export async function classifierAt(
  path: string,
  { input, outputKind }: Pick<ModelSettings, 'input' | 'outputKind'>,
): Promise<Classifier> {
  const classifier = await prepareClassifier(await readModel(path), { input, outputKind })
  if (classifier.shape.length !== 3)
    throw new ZooError(
      'unsupported-model',
      `its images are of shape [${classifier.shape}], not channels, height, width`,
    )
  return classifier
}

/**
 * A model open in this process: for workers, since a session blocks its process, and takes it down when it crashes.
 * The forward-only session opens at once, one for each loss when it is first asked for.
 */
export async function openAttackedModel(
  classifier: Classifier,
  settings: ModelSettings,
): Promise<AttackedModel & { release(): Promise<void> }> {
  const { threads, provider } = settings
  const batch = classifier.batch ?? settings.batch
  const shape = classifier.shape as [number, number, number]
  const { classes } = classifier
  const judge = await openSession(classifier.model, { threads, provider })
  const sessions = new Map<GraphLoss, Session>()

  async function sessionFor(loss: GraphLoss): Promise<Session> {
    const open = sessions.get(loss)
    if (open) return open
    for (const [other, session] of sessions) {
      if (sessions.size < KEPT_SESSIONS) break
      sessions.delete(other)
      await session.release()
    }
    const session = await openSession(await lossGradient(classifier, { loss, provider }), {
      threads,
      provider,
    })
    sessions.set(loss, session)
    return session
  }

  /** Runs on the rows at hand; where the model takes one batch size only, the rest is filled up with zeros and left out again. */
  async function run(session: Session, rows: number, feeds: Feeds): Promise<Record<string, Float32Array>> {
    const padded = classifier.batch ?? rows
    const fed = Object.entries(feeds).map(([name, tensor]) => [name, resizeRows(tensor, padded)])
    const outputs = Object.entries(await session.run(Object.fromEntries(fed)))
    return Object.fromEntries(
      outputs.map(([name, { floats }]) => [name, floats.subarray(0, (floats.length / padded) * rows)]),
    )
  }

  return {
    shape,
    classes,
    batch,

    async forward(x) {
      const rows = rowsOf(x, shape)
      const outputs = await run(judge, rows, { [classifier.image]: Tensor.float32([rows, ...shape], x) })
      return outputs.logits!
    },

    async gradient(query, loss) {
      const name = graphLoss(loss)
      const rows = query.labels.length
      const feeds: Record<string, Tensor> = { [classifier.image]: Tensor.float32([rows, ...shape], query.x) }
      for (const input of LOSSES[name]) feeds[input] = lossInput(input, query, classes)
      const { logits, loss: values, gradient } = await run(await sessionFor(name), rows, feeds)
      return { logits: logits!, loss: values!, gradient: gradient! }
    },

    async release() {
      for (const session of [judge, ...sessions.values()]) await session.release()
    },
  }
}

function lossInput(input: string, { labels, targets }: GradientQuery, classes: number): Tensor {
  if (input === 'label') return Tensor.int64([labels.length], Array.from(labels))
  if (input === 'target') return Tensor.int64([targets.length], Array.from(targets))
  if (input !== 'weights') throw new ZooError('internal', `no attack knows the loss input ${input}`)
  const weights = new Float32Array(labels.length * classes)
  for (const [row, label] of labels.entries()) {
    weights[row * classes + targets[row]!]! += 1
    weights[row * classes + label]! -= 1
  }
  return Tensor.float32([labels.length, classes], weights)
}

function rowsOf(x: Float32Array, shape: readonly number[]): number {
  return x.length / shape.reduce((product, dim) => product * dim, 1)
}

/** A tensor with `rows` rows, the new ones zero. */
function resizeRows(tensor: Tensor, rows: number): Tensor {
  const [given, ...rest] = tensor.dims
  if (given === rows) return tensor
  const bytes = new Uint8Array((tensor.bytes.length / given!) * rows)
  bytes.set(tensor.bytes)
  return new Tensor(tensor.dtype, [rows, ...rest], bytes)
}
