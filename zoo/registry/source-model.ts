import { join, posix } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import type { Client } from './client.ts'
import { readManifest } from './folder.ts'
import { MANIFEST_FILE, manifestBytes } from './oci/model-pack.ts'
import type { ResolvedModel } from './resolve.ts'
import { fetchFiles, fetchOne } from './sources/fetch.ts'
import { putBlob } from './store/blobs.ts'
import { sha256Of } from './store/hash.ts'
import { materialise } from './store/materialise.ts'

/** Where single files lie in the cache, beside the folders of named models. */
const SINGLE = '-'

/**
 * A model from a source: a single .onnx file, best with a digest, or a manifest (`.json`) whose files lie beside it or
 * at the places that it names.
 *
 * @throws ZooError as fetching does; `integrity` where the file hasn't the digest asked for
 */
export async function pullSource(
  client: Client,
  { source, sha256 }: { readonly source: string; readonly sha256: string | undefined },
): Promise<ResolvedModel> {
  const name = posix.basename(source.split(/[?#]/)[0]!).replace(/[^\w.-]/g, '_')
  const { cache, linkMode } = client.settings
  if (!/\.(onnx|json)$/.test(name))
    throw new ZooError('usage', `${source} is neither an .onnx file nor a manifest (.json)`)
  const fetched = await fetchOne(client, source, sha256)
  if (name.endsWith('.json')) return pullManifest(client, source, fetched.path)
  if (sha256 === undefined && !source.startsWith('file:'))
    client.note(`to be sure to get this very file again, ask for ${source}#sha256=${fetched.sha256}`)
  const folder = join(cache, 'models', SINGLE, fetched.sha256.slice(0, 16))
  await materialise(cache, folder, [{ ...fetched, path: name, from: fetched.path }], linkMode)
  return { path: join(folder, name), sha256: fetched.sha256 }
}

async function pullManifest(client: Client, source: string, path: string): Promise<ResolvedModel> {
  const manifest = readManifest(path)
  const { cache, linkMode } = client.settings
  const places = [source, ...manifest.sources.map((base) => `${base.replace(/\/*$/, '')}/`)]
  const files = manifest.files.map((file) => ({
    ...file,
    sources: places.map((place) => place.replace(/[^/]*$/, '') + file.path),
  }))
  const blobs = await fetchFiles(client, files, `pull ${manifest.name}`)
  const bytes = manifestBytes(manifest)
  const digest = sha256Of(bytes)
  const card = {
    path: MANIFEST_FILE,
    size: bytes.length,
    sha256: digest,
    from: await putBlob(cache, bytes, digest),
  }
  const folder = join(cache, 'models', manifest.name, digest.slice(0, 16))
  const placed = files.map((file, i) => ({ ...file, from: blobs[i]! }))
  const mode = linkMode === 'auto' && files.length > 1 ? 'reflink' : linkMode
  await materialise(cache, folder, [card, ...placed], mode)
  const [model] = manifest.files
  return { path: join(folder, model!.path), manifest, sha256: model!.sha256 }
}
