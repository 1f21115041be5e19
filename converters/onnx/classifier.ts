import { ZooError } from '../../manifests/error.ts'
import type { InputDescription } from '../../manifests/schema/input.ts'
import { GraphBuilder } from './builder.ts'
import { type Logits, type OutputKind, outputLogits } from './classifier/output-kind.ts'
import { endingAt, imageInput, scoresOutput } from './classifier/ports.ts'
import { inFloat32 } from './classifier/precision.ts'
import { prependPreprocessing } from './classifier/preprocessing.ts'
import { foldBatchNorm } from './fold.ts'
import { LOSSES } from './gradient/losses.ts'
import type { ProbeOptions } from './gradient/probe.ts'
import { type Resolved, resolve } from './gradient/resolve.ts'
import type { Sizes } from './gradient/sizes.ts'
import type { Graph, Model } from './graph.ts'
import { normalise, usedOpsets } from './normalise.ts'
import { prune } from './prune.ts'
import { claimName, reserveNames } from './rename.ts'
import { dataTypeCode } from './tensor.ts'

/** A model made ready for attacks. */
export interface Classifier {
  /** From the image input to the one output `logits` [batch, classes], and nothing else. */
  readonly model: Model
  /** Name of the image input; float32. */
  readonly image: string
  /**
   * Shape of one image: [C, H, W] where a description was given, for then the input is NCHW in [0,1]; otherwise
   * whatever the model's own input has after its batch axis.
   */
  readonly shape: readonly number[]
  readonly classes: number
  /** The only batch size that the model takes, or null if it takes any. */
  readonly batch: number | null
  /** What the model's own output is. `logits` holds logits, or log-probabilities, which serve as such. */
  readonly outputKind: OutputKind
  /** Whether `logits` is the logarithm of probabilities that the model computes itself: where they saturate, gradients vanish. */
  readonly logarithm: boolean
}

export interface PrepareOptions {
  /** How the model wants its images; without it the image input stays as it is. */
  readonly input?: InputDescription
  readonly outputKind?: OutputKind | 'auto'
  /** Which input and output, where the model has several. */
  readonly inputName?: string
  readonly outputName?: string
  /** Fixes the batch size. */
  readonly batch?: number
  /** Where the model is run to learn its shapes; default: in this process. */
  readonly open?: ProbeOptions['open']
}

/** Values that gradient graphs add, and whose names a model's own must not have. */
const RESERVED = ['logits', 'loss', 'gradient', ...new Set(Object.values(LOSSES).flat())]

/**
 * Prepares a third party's model: finds the image input and the scores, prepends the preprocessing, computes in
 * float32, folds batch norm and shape arithmetic, and ends the graph at the logits.
 *
 * @throws ZooError `unsupported-model`, in one sentence, if this is no image classifier with one score per class
 */
export async function prepareClassifier(model: Model, options: PrepareOptions = {}): Promise<Classifier> {
  const normal = normalise(model)
  const whole = inFloat32(normal.graph)
  const scored = endingAt(whole, scoresOutput(whole, options.outputName))
  const port = imageInput(scored, options.inputName)
  const { graph, image, shape } = prependPreprocessing(scored, port, options.input)
  const resolved = await resolveBatch({ ...normal, graph: foldBatchNorm(graph) }, options)
  const batch = resolved.facts.batch === null ? (batchOf(resolved.model, image) ?? null) : null
  if (options.batch !== undefined && batch !== options.batch)
    throw new ZooError('usage', `the model takes batches of ${batch}, not of ${options.batch}`)
  const output = resolved.model.graph.outputs[0]!.name
  const classes = classesOf(resolved.facts.sizes(output), batch)
  const logits = await outputLogits(resolved, output, options.outputKind ?? 'auto', options.open)
  const finished = endAtLogits(logits, resolved, batch, classes)
  return {
    model: { ...resolved.model, graph: finished, opsets: usedOpsets(resolved.model.opsets, finished) },
    image,
    shape,
    classes,
    batch,
    outputKind: logits.kind,
    logarithm: logits.logarithm,
  }
}

const batchOf = (model: Model, image: string): number | null => {
  const dim = model.graph.inputs.find((input) => input.name === image)!.dims![0]
  return typeof dim === 'number' ? dim : null
}

/** Some models declare an open batch axis and have a batch of one built into their reshapes. */
async function resolveBatch(model: Model, options: PrepareOptions): Promise<Resolved> {
  const { batch, open } = options
  const probing = open ? { open } : {}
  if (batch !== undefined) return resolve(model, { ...probing, batch })
  try {
    const resolved = await resolve(model, probing)
    const [first] = resolved.facts.sizes(resolved.model.graph.outputs[0]!.name)
    if (resolved.facts.batch === null || typeof first === 'object') return resolved
  } catch (error) {
    return resolve(model, { ...probing, batch: 1 }).catch(() => {
      throw error
    })
  }
  return resolve(model, { ...probing, batch: 1 })
}

/** The number of classes, if the output is one score per class for each image. */
function classesOf(sizes: Sizes, batch: number | null): number {
  const [first, ...rest] = sizes.length === 1 && batch === 1 ? [1, ...sizes] : sizes
  const scores = rest.filter((size) => size !== 1)
  const perImage =
    batch === null ? first !== null && typeof first === 'object' && first.perImage === 1 : first === batch
  if (perImage && scores.length === 1 && typeof scores[0] === 'number') return scores[0]
  const shape = sizes.map((size) => (typeof size === 'number' ? size : size === null ? '?' : 'batch'))
  const binary = perImage && scores.length === 0
  throw new ZooError(
    'unsupported-model',
    `this is no classifier with one score per class: its output has the shape [${shape.join(', ')}]`,
    {
      hint: binary
        ? 'a binary model with a single score; give it two outputs, one per class'
        : 'detectors and segmentation models cannot be evaluated',
    },
  )
}

function endAtLogits(
  logits: Logits,
  { model, facts }: Resolved,
  batch: number | null,
  classes: number,
): Graph {
  const own = model.graph.outputs[0]!.name
  const graph: Graph = {
    ...logits.graph,
    nodes: [...logits.graph.nodes],
    initializers: new Map(logits.graph.initializers),
  }
  const builder = new GraphBuilder(graph)
  const flat =
    facts.sizes(own).length === 2
      ? logits.value
      : builder.op('Reshape', [logits.value, builder.int64s([batch ?? -1, classes])])
  const single =
    facts.dtype(own) === 'float64' ? builder.op('Cast', [flat], { to: dataTypeCode('float32') }) : flat
  const output = builder.op('Identity', [single])
  const dims = [batch ?? model.graph.inputs[0]!.dims![0]!, classes]
  const ended = prune({ ...graph, outputs: [{ name: output, dtype: 'float32', dims }] })
  return claimName(reserveNames(ended, RESERVED), output, 'logits')
}
