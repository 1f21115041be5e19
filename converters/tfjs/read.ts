import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { asZooError, ZooError } from '../../manifests/error.ts'
import { type ModelJson, parseModelJson } from './manifest.ts'
import { readWeights, type SourceFile, sourceFile, type Weights } from './weights.ts'

/** A tfjs model as its files have it. */
export interface TfjsModel {
  readonly format: 'layers-model' | 'graph-model'
  readonly json: ModelJson
  readonly weights: Weights
  /** model.json first. */
  readonly files: readonly SourceFile[]
}

/**
 * Reads a model.json and the weights beside it.
 *
 * @throws ZooError `usage` for a URL, `not-found`, `invalid-model`, `integrity`
 */
export async function readTfjs(path: string): Promise<TfjsModel> {
  if (/^https?:/i.test(path))
    throw new ZooError('usage', 'zoo convert reads local files only', {
      hint: 'download the model.json and the weight files that its weightsManifest names into one folder',
    })
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EISDIR')
      throw new ZooError('usage', `${path} is a folder`, { hint: `name the file: ${path}/model.json` })
    throw asZooError(error)
  }
  const json = parseModelJson(new TextDecoder().decode(bytes), path)
  const weights = await readWeights(json.weightsManifest, path)
  return {
    format: formatOf(json, path),
    json,
    weights,
    files: [sourceFile(basename(path), bytes), ...weights.files],
  }
}

/** Older files don't name their format, but their topologies differ. */
function formatOf({ format, modelTopology }: ModelJson, path: string): TfjsModel['format'] {
  if (format === 'layers-model' || format === 'graph-model') return format
  if (format !== undefined && format !== null)
    throw new ZooError(
      'unsupported-model',
      `${path} is a ${format}, neither a layers model nor a graph model`,
    )
  return 'node' in modelTopology ? 'graph-model' : 'layers-model'
}
