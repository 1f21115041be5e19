import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import { type ModelManifest, modelManifestSchema } from '../../manifests/schema/model.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import { MANIFEST_FILE } from './oci/model-pack.ts'
import { checkFile } from './store/blobs.ts'
import { isWhole } from './store/materialise.ts'

/** A model on this machine: a folder with a manifest and the files that it names. */
export interface ModelFolder {
  readonly folder: string
  readonly manifest: ModelManifest
}

/** Where the manifest of an .onnx file may lie: `X.manifest.json` beside `X.onnx`, or `manifest.json` in its folder. */
export const manifestPaths = (onnx: string): string[] => [
  onnx.replace(/\.onnx$/, '.manifest.json'),
  join(dirname(onnx), MANIFEST_FILE),
]

/** @throws ZooError `invalid-manifest` */
export function readManifest(path: string): ModelManifest {
  let document: unknown
  try {
    document = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new ZooError('invalid-manifest', `${path} is not JSON: ${error.message}`)
  }
  return parseAs(modelManifestSchema, document, path)
}

/** The manifest of an .onnx file, where one beside it names that file first. */
export function manifestOf(onnx: string): ModelManifest | undefined {
  for (const path of manifestPaths(onnx)) {
    if (!existsSync(path)) continue
    const manifest = readManifest(path)
    if (manifest.files[0]!.path === basename(onnx)) return manifest
  }
  return undefined
}

/**
 * Opens a model by its folder, its manifest or its .onnx file.
 *
 * @throws ZooError `not-found` without a manifest, `integrity` where a file isn't what the manifest says
 */
export async function openModelFolder(place: string): Promise<ModelFolder> {
  const path = resolve(place)
  if (!existsSync(path)) throw new ZooError('not-found', `there is no ${place}`)
  const manifestPath = statSync(path).isDirectory()
    ? join(path, MANIFEST_FILE)
    : path.endsWith('.json')
      ? path
      : manifestPaths(path).find(existsSync)
  if (manifestPath === undefined || !existsSync(manifestPath))
    throw new ZooError('not-found', `${place} has no manifest`, {
      hint: 'zoo lint MODEL.onnx --write-manifest FILE makes one to start from',
    })
  const manifest = readManifest(manifestPath)
  const folder = dirname(manifestPath)
  if (!(await isWhole(folder, manifest.files)))
    for (const file of manifest.files) await checkFile(join(folder, file.path), file, join(folder, file.path))
  return { folder, manifest }
}
