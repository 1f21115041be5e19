import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import type { ModelManifest } from '../../manifests/schema/model.ts'
import { type Client, openClient } from './client.ts'
import { openRegistry } from './endpoints.ts'
import { manifestOf, openModelFolder } from './folder.ts'
import { pullModel } from './pull.ts'
import { parseModelSpec } from './reference.ts'
import { pullSource } from './source-model.ts'
import { hashFile } from './store/hash.ts'
import type { SignatureState } from './trust/check.ts'

/** A model that is on this machine. */
export interface ResolvedModel {
  /** The .onnx file; external data lies beside it. */
  readonly path: string
  /** What is known of it; a bare .onnx has none. */
  readonly manifest?: ModelManifest
  /** sha256 of the .onnx file as it is now. */
  readonly sha256: string
  /** Who signed it, where it was published. */
  readonly signature?: SignatureState
}

/**
 * MODEL as commands take it, brought to this machine: a zoo name (with `@tag` or `@sha256:...`), a path to an .onnx
 * file or a model's folder, an https URL or another source.
 *
 * @throws ZooError `not-found`, `integrity` where a file isn't what its manifest says, `network` and the like
 */
export async function resolveModel(text: string, client: Client = openClient()): Promise<ResolvedModel> {
  const spec = parseModelSpec(text)
  switch (spec.kind) {
    case 'name':
      return pullModel(client, spec.reference)
    case 'oci':
      return pullModel(client, spec.reference, [openRegistry(client, spec.endpoint)])
    case 'source':
      return pullSource(client, spec)
    case 'path':
      return localModel(spec.path)
  }
}

async function localModel(text: string): Promise<ResolvedModel> {
  const path = resolve(text)
  if (!existsSync(path)) throw new ZooError('not-found', `there is no ${text}`)
  if (statSync(path).isDirectory() || path.endsWith('.json')) {
    const { folder, manifest } = await openModelFolder(path)
    const [model] = manifest.files
    return { path: resolve(folder, model!.path), manifest, sha256: model!.sha256 }
  }
  const { sha256 } = await hashFile(path)
  const manifest = manifestOf(path)
  if (manifest === undefined) return { path, sha256 }
  if (manifest.files[0]!.sha256 !== sha256)
    throw new ZooError('integrity', `${text} is not the file that the manifest beside it describes`, {
      hint: `correct the manifest: the file's sha256 is ${sha256}`,
    })
  return { path, manifest, sha256 }
}
