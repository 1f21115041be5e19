import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { DataSet } from '../converters/data/dataset.ts'
import { readModel, writeModel } from '../converters/onnx/file.ts'
import { foldBatchNorm } from '../converters/onnx/fold.ts'
import { BUILT_OPSET, type Graph, type Model, modelOf } from '../converters/onnx/graph.ts'
import type { Tensor } from '../converters/onnx/tensor.ts'
import { writeFileAtomic, writeJsonAtomic } from '../manifests/atomic.ts'
import { ZooError } from '../manifests/error.ts'
import type { Progress } from '../manifests/progress.ts'
import { type ModelManifest, modelManifestSchema } from '../manifests/schema/model.ts'
import { parseAs } from '../manifests/schema/parse.ts'
import { type Checkpoint, readCheckpoint } from './checkpoint/checkpoint.ts'
import { openTrainingSet } from './data/open.ts'
import { type Backend, openEngine } from './engines/open.ts'
import { operationsOf } from './export/arithmetic.ts'
import { withBatch } from './export/batch.ts'
import { modelCard } from './export/card.ts'
import { withHalfKernels } from './export/float16.ts'
import { type Description, describeExport, metadataOf } from './export/manifest.ts'
import { withOpset } from './export/opset.ts'
import { measureParity, type Parity } from './export/parity.ts'
import { crossEntropy } from './losses.ts'
import { type Network, objectiveOf } from './network.ts'
import type { Branch } from './resnet/layers.ts'
import { networkOf, type Run, readRun } from './run.ts'

/** Whether mean and std are in the graph, which then takes images in [0,1], or left to who feeds it. */
export const PREPROCESSING = ['included', 'manifest'] as const
export type Preprocessing = (typeof PREPROCESSING)[number]

export interface ExportOptions {
  /** Which branch of a mixture norm; `adv` unless told otherwise. Other networks have one. */
  readonly branch?: Branch | undefined
  /** The model's name and version in the zoo; by default the recipe's name, and `1`. */
  readonly name?: string | undefined
  readonly version?: string | undefined
  /** The only batch size that the file shall take; any by default. */
  readonly batch?: number | undefined
  /** 13 to the newest that onnxruntime runs; 18 by default. */
  readonly opset?: number | undefined
  /** Kernels in float16; the file still computes in float32. */
  readonly float16?: boolean | undefined
  readonly preprocessing?: Preprocessing | undefined
  /** Where the trainer's side of the comparison runs. */
  readonly backend?: Backend | undefined
  /** Opens the data that the comparison takes its images from; by default what needs no download. */
  readonly open?: ((data: string) => Promise<DataSet>) | undefined
  readonly progress?: Progress | undefined
}

export interface Export {
  readonly model: Model
  /** Complete but for `files`, which `writeExport` knows. */
  readonly manifest: Description
  /** Whoever doesn't use `writeExport` has to look at `failures`. */
  readonly parity: Parity
}

/**
 * The trained graph as an ONNX model: one branch of mixture norms, batch norm folded into convolutions (in float64,
 * rounded once), the moving averages of the weights where they were kept. Compared with the trainer on 256 real images.
 *
 * @throws ZooError `not-found` (no run, or no checkpoint yet), `usage` (a branch that the network hasn't, an opset that
 *   cannot be written), `invalid-manifest` (a name or version that is none)
 */
export async function exportRun(folder: string, options: ExportOptions = {}): Promise<Export> {
  const { opset = BUILT_OPSET, preprocessing = 'included', float16 = false } = options
  const run = await readRun(folder)
  const checkpoint = await readCheckpoint(folder)
  if (!checkpoint)
    throw new ZooError('not-found', `${folder} has no checkpoint yet`, {
      hint: 'let zoo train run a little longer',
    })
  const network = await networkOf(run, folder)
  const branch = options.branch ?? network.branches.at(-1)!
  if (!network.branches.includes(branch))
    throw new ZooError('usage', `the network has no branch ${branch}, but ${network.branches.join(' and ')}`)
  const trained = trainedWeights(checkpoint)

  const built = preprocessing === 'included' ? network : await networkOf(withoutPreprocessing(run), folder)
  const unfolded = modelOf(withWeights(built.graph(branch), trained))
  const folded = { ...unfolded, graph: foldBatchNorm(unfolded.graph) }
  const manifest = describeExport({
    run,
    steps: checkpoint.step,
    branch,
    name: options.name,
    version: options.version,
    preprocessing,
    opset,
    parameters: parametersOf(network, unfolded.graph),
    operations: await operationsOf(folded),
  })
  const sized = options.batch === undefined ? folded.graph : withBatch(folded.graph, options.batch)
  const graph = float16 ? withHalfKernels(sized) : sized
  const model = withOpset({ ...folded, graph, metadata: metadataOf(manifest) }, opset)

  const { validation, train } = run.recipe.data
  const data = await openTrainingSet(validation ?? train, run.recipe, options.open)
  const weights = network.weights.map((weight) => ({
    ...weight,
    value: trained.get(weight.name) ?? weight.value,
  }))
  const engine = await openEngine(options.backend ?? 'auto', { weights, statisticsMomentum: 1 })
  try {
    const parity = await measureParity({
      engine,
      objective: objectiveOf(network, branch, crossEntropy),
      models: { exported: model, folded, unfolded },
      kernels: float16 ? 'float16' : 'float32',
      input: manifest.input,
      data,
      progress: options.progress,
    })
    return { model, manifest, parity }
  } finally {
    engine.dispose()
    await data.close?.()
  }
}

/**
 * Writes MODEL.onnx (above 1.5 GB with its weights in MODEL.onnx.data) and beside it its manifest, card and parity
 * report, each whole or not at all; the manifest comes last, so that where there is one everything it names is there.
 * An export that failed its comparison leaves the report alone, as MODEL.parity.failed.json, and no model.
 *
 * @throws ZooError `check-failed` naming what differs by more than the tolerance
 */
export async function writeExport(
  exported: Export,
  path: string,
  options: { readonly externalAbove?: number } = {},
): Promise<ModelManifest> {
  if (!path.endsWith('.onnx')) throw new ZooError('usage', `${path} should end in .onnx`)
  const stem = path.slice(0, -'.onnx'.length)
  const [report, failed] = [`${stem}.parity.json`, `${stem}.parity.failed.json`]
  const { model, parity } = exported
  if (parity.failures.length > 0) {
    await writeJsonAtomic(failed, parity)
    throw new ZooError(
      'check-failed',
      `the exported file doesn't equal the trained network: ${parity.failures.join(', ')}`,
      { hint: `no model was written; ${failed} has the figures` },
    )
  }
  // What an earlier export left would contradict this one.
  for (const old of [`${stem}.manifest.json`, failed]) await rm(old, { force: true })
  await writeModel(model, path, options)
  const written = await readModel(path)
  const external = [...written.graph.initializers.values()].some(({ file }) => file !== undefined)
  if (!external) await rm(`${path}.data`, { force: true })
  await writeJsonAtomic(report, parity)
  await writeFileAtomic(`${stem}.md`, modelCard(exported, basename(path)))
  const paths = [path, ...(external ? [`${path}.data`] : []), report, `${stem}.md`]
  const files = await Promise.all(paths.map(fileOf))
  const manifest = parseAs(modelManifestSchema, { ...exported.manifest, files }, `the manifest of ${path}`)
  await writeJsonAtomic(`${stem}.manifest.json`, manifest)
  return manifest
}

async function fileOf(path: string): Promise<ModelManifest['files'][number]> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return { path: basename(path), size: (await stat(path)).size, sha256: hash.digest('hex') }
}

function trainedWeights({ tensors }: Checkpoint): Map<string, Tensor> {
  const weights = new Map<string, Tensor>()
  for (const kind of ['weight/', 'average/'])
    for (const [name, tensor] of tensors)
      if (name.startsWith(kind)) weights.set(name.slice(kind.length), tensor)
  return weights
}

const withWeights = (graph: Graph, weights: ReadonlyMap<string, Tensor>): Graph => ({
  ...graph,
  initializers: new Map([...graph.initializers].map(([name, tensor]) => [name, weights.get(name) ?? tensor])),
})

/** The same network on images that were normalised before. */
function withoutPreprocessing(run: Run): Run {
  const { network } = run.recipe
  if (network.family === 'given')
    throw new ZooError('usage', 'the preprocessing of a given network is part of it', {
      hint: 'leave out --preprocessing',
    })
  return { ...run, recipe: { ...run.recipe, network: { ...network, mean: [], std: [] } } }
}

/** Numbers that were learnt, in this branch. */
const parametersOf = ({ weights }: Network, { initializers }: Graph): number =>
  weights.reduce(
    (sum, { name, role, value }) => (role !== 'statistic' && initializers.has(name) ? sum + value.size : sum),
    0,
  )
