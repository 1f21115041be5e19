import { createHash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { DataSet } from '../converters/data/dataset.ts'
import type { Model } from '../converters/onnx/graph.ts'
import type { Tensor } from '../converters/onnx/tensor.ts'
import { ZooError } from '../manifests/error.ts'
import { type InputDescription, inputSchema } from '../manifests/schema/input.ts'
import type { Recipe } from '../manifests/schema/recipe.ts'
import { readCheckpoint } from './checkpoint/checkpoint.ts'
import { networkFrom, prepareGiven, writeGiven } from './given.ts'
import type { Network } from './network.ts'
import { digest, type Run } from './run.ts'

/** What training starts from. */
export interface Origin {
  /** The folder of a run, or an .onnx file. */
  readonly path: string
  /** How the model wants its images. */
  readonly input?: InputDescription | undefined
}

export interface OpenedOrigin {
  readonly identity: NonNullable<Run['from']>
  /** First values that take the place of the recipe's own. */
  readonly weights: ReadonlyMap<string, Tensor>
  /** Puts into the run's folder what every later sitting needs of it. */
  settle(folder: string): Promise<void>
}

/** @throws ZooError `usage` where origin and recipe don't fit, `not-found`, `unsupported-model`, `invalid-data` */
export async function openOrigin(
  { path, input }: Origin,
  recipe: Recipe,
  data: DataSet,
): Promise<OpenedOrigin> {
  if (!existsSync(path)) throw new ZooError('not-found', `there is no ${path} to start from`)
  const isGiven = recipe.network.family === 'given'
  if (statSync(path).isDirectory()) {
    if (isGiven)
      throw new ZooError('usage', `${recipe.name} wants a network, and ${path} is the folder of a run`, {
        hint: 'export the run first: zoo export RUN -o MODEL.onnx',
      })
    return openRun(path)
  }
  if (!isGiven)
    throw new ZooError('usage', `${recipe.name} builds a network of its own, so it cannot take ${path}`, {
      hint: 'write "network": { "family": "given" } into the recipe',
    })
  const model = await prepareGiven(path, inputSchema.parse(input ?? {}))
  checkFit(model, data, path)
  return {
    identity: { name: basename(path), sha256: await digestOf(path) },
    weights: new Map(),
    settle: (folder) => writeGiven(model, folder),
  }
}

async function openRun(path: string): Promise<OpenedOrigin> {
  const checkpoint = await readCheckpoint(path)
  if (!checkpoint) throw new ZooError('not-found', `${path} has no checkpoint to start from`)
  const weights = new Map<string, Tensor>()
  for (const kind of ['weight/', 'average/'])
    for (const [name, tensor] of checkpoint.tensors)
      if (name.startsWith(kind)) weights.set(name.slice(kind.length), tensor)
  const state = `${checkpoint.plan}:${checkpoint.step}`
  return { identity: { name: basename(path), sha256: digest(state) }, weights, settle: async () => {} }
}

function checkFit({ graph }: Model, data: DataSet, path: string): void {
  const { shape, classes } = networkFrom(graph)
  if (shape.join() !== data.shape.join())
    throw new ZooError(
      'invalid-data',
      `${path} takes images of [${shape}], ${data.name} has [${data.shape}]`,
      {
        hint: 'say in a manifest how the model wants its images, or train on data of its size',
      },
    )
  if (data.classes && data.classes.length !== classes)
    throw new ZooError(
      'invalid-data',
      `${path} tells ${classes} classes apart, ${data.name} has ${data.classes.length}`,
    )
}

/**
 * The network with other first values, by name. Weights that only one side has stay as they are, but there must be
 * some in common; one of another shape, such as the classifier for other classes, keeps its own first value.
 *
 * @throws ZooError `usage` where nothing fits
 */
export function startedFrom(network: Network, values: ReadonlyMap<string, Tensor> | undefined): Network {
  if (!values || values.size === 0) return network
  let taken = 0
  const weights = network.weights.map((weight) => {
    const value = values.get(weight.name)
    if (!value || value.dims.join() !== weight.value.dims.join()) return weight
    taken++
    return { ...weight, value }
  })
  if (taken === 0) throw new ZooError('usage', 'the run to start from has no weight of this network')
  return { ...network, weights }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
