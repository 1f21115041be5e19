import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { DataSet } from '../converters/data/dataset.ts'
import { openData } from '../converters/data/open.ts'
import { writeModel } from '../converters/onnx/file.ts'
import { foldBatchNorm } from '../converters/onnx/fold.ts'
import { type Graph, type Model, modelOf } from '../converters/onnx/graph.ts'
import type { Tensor } from '../converters/onnx/tensor.ts'
import { writeFileAtomic, writeJsonAtomic } from '../manifests/atomic.ts'
import { ZooError } from '../manifests/error.ts'
import { type ModelManifest, modelManifestSchema } from '../manifests/schema/model.ts'
import { parseAs } from '../manifests/schema/parse.ts'
import { type Checkpoint, readCheckpoint } from './checkpoint/checkpoint.ts'
import { type Backend, openEngine } from './engines/open.ts'
import { modelCard } from './export/card.ts'
import { checkParity, measureParity, type Parity } from './export/parity.ts'
import { crossEntropy } from './losses.ts'
import { objectiveOf } from './network.ts'
import type { Branch } from './resnet/layers.ts'
import { networkOf, type Run, readRun } from './run.ts'

export interface ExportOptions {
  /** Which branch of a mixture norm; `adv` unless told otherwise. Other networks have one. */
  readonly branch?: Branch | undefined
  /** The model's name and version in the zoo; by default the recipe's name, and `1`. */
  readonly name?: string | undefined
  readonly version?: string | undefined
  /** Where the trainer's side of the comparison runs. */
  readonly backend?: Backend | undefined
  /** Opens the data that the comparison takes its images from; by default what needs no download. */
  readonly open?: ((data: string) => Promise<DataSet>) | undefined
}

export interface Export {
  readonly model: Model
  /** Complete but for `files`, which `writeExport` knows. */
  readonly manifest: Omit<ModelManifest, 'files'>
  readonly parity: Parity
}

/**
 * The trained graph as an ONNX model: one branch of mixture norms, batch norm folded into convolutions (in float64,
 * rounded once), the moving averages of the weights where they were kept. Compared with the trainer on 256 real images.
 *
 * @throws ZooError `not-found` (no run, or no checkpoint yet), `usage` (a branch that the network hasn't),
 *   `check-failed` (the comparison)
 */
export async function exportRun(folder: string, options: ExportOptions = {}): Promise<Export> {
  const run = await readRun(folder)
  const checkpoint = await readCheckpoint(folder)
  if (!checkpoint)
    throw new ZooError('not-found', `${folder} has no checkpoint yet`, {
      hint: 'let zoo train run a little longer',
    })
  const network = networkOf(run)
  const branch = options.branch ?? network.branches.at(-1)!
  if (!network.branches.includes(branch))
    throw new ZooError('usage', `the network has no branch ${branch}, but ${network.branches.join(' and ')}`)
  const trained = trainedWeights(checkpoint)
  const weights = network.weights.map((weight) => ({
    ...weight,
    value: trained.get(weight.name) ?? weight.value,
  }))

  const unfolded = modelOf(withWeights(network.graph(branch), trained))
  const folded = { ...unfolded, graph: foldBatchNorm(unfolded.graph) }
  const manifest = describe(run, checkpoint, branch, folded, options)
  folded.metadata = metadataOf(manifest)

  const open = options.open ?? ((data) => openData(data))
  const data = await open(run.recipe.data.validation ?? run.recipe.data.train)
  const engine = await openEngine(options.backend ?? 'auto', { weights, statisticsMomentum: 1 })
  try {
    const objective = objectiveOf(network, branch, crossEntropy)
    const parity = await measureParity(engine, objective, { folded, unfolded }, data)
    checkParity(parity)
    return { model: folded, manifest, parity }
  } finally {
    engine.dispose()
  }
}

/**
 * Writes MODEL.onnx and beside it its manifest, card and parity report, each whole or not at all; the manifest comes last,
 * so that where there is one everything it names is there.
 */
export async function writeExport(exported: Export, path: string): Promise<ModelManifest> {
  if (!path.endsWith('.onnx')) throw new ZooError('usage', `${path} should end in .onnx`)
  const stem = path.slice(0, -'.onnx'.length)
  const { model, parity } = exported
  await writeModel(model, path)
  await writeJsonAtomic(`${stem}.parity.json`, parity)
  await writeFileAtomic(`${stem}.md`, modelCard(exported))
  const files = await Promise.all([path, `${stem}.parity.json`, `${stem}.md`].map(fileOf))
  const manifest = parseAs(modelManifestSchema, { ...exported.manifest, files }, `the manifest of ${path}`)
  await writeJsonAtomic(join(dirname(path), `${basename(stem)}.manifest.json`), manifest)
  return manifest
}

async function fileOf(path: string): Promise<ModelManifest['files'][number]> {
  const bytes = await readFile(path)
  return {
    path: basename(path),
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }
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

function describe(
  run: Run,
  { step }: Checkpoint,
  branch: Branch,
  model: Model,
  options: ExportOptions,
): Omit<ModelManifest, 'files'> {
  const { recipe, data } = run
  const { network, method } = recipe
  const [channels, height, width] = data.shape
  const threat = 'attack' in method ? method.attack : undefined
  const parameters = [...model.graph.initializers.values()].reduce((sum, tensor) => sum + tensor.size, 0)
  const suffix = branch === 'clean' ? '-clean' : ''
  return {
    schemaVersion: 1,
    name: options.name ?? `${recipe.name}${suffix}`,
    version: options.version ?? '1',
    description: recipe.description,
    architecture: `ResNet-${network.depth}${network.form === 'small' ? ` (width ${network.width})` : ''}`,
    parameters,
    depth: network.depth,
    input: {
      range: [0, 1],
      channels: channels === 1 ? 'grey' : 'rgb',
      layout: 'nchw',
      size: [height, width],
      resize: 'bicubic',
      labelOffset: 0,
    },
    output: 'logits',
    classes: data.classes,
    dataset: (recipe.data.validation ?? recipe.data.train)
      .split('/')
      .at(-1)!
      .split(':')[0]!
      .replace(/\.npz$/, ''),
    normalisation: network.norm.kind,
    branch,
    ...(threat && { threat: { norm: threat.norm, eps: threat.eps, targeted: threat.targeted } }),
    recipe: { name: recipe.name, sha256: run.recipeSha256 },
    trainingData: `${data.name}, ${step * recipe.batch} images seen`,
    ...('cleanRatio' in method && { cleanRatio: method.cleanRatio }),
    licence: recipe.licence,
    authors: [],
    results: [],
    sources: [],
  }
}

/** What the file itself says: it may travel without its manifest. */
function metadataOf(manifest: Omit<ModelManifest, 'files'>): Map<string, string> {
  const { name, version, branch, recipe, input, classes, licence, trainingData } = manifest
  return new Map([
    ['name', name],
    ['version', version],
    ['branch', branch],
    ['recipe', `${recipe?.name} ${recipe?.sha256}`],
    ['input', JSON.stringify(input)],
    ['classes', JSON.stringify(classes)],
    ['licence', licence],
    ['training_data', trainingData ?? ''],
  ])
}
