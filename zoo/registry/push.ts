import type { KeyObject } from 'node:crypto'
import { chmod, copyFile, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import type { ModelManifest } from '../../manifests/schema/model.ts'
import type { Client } from './client.ts'
import { openModelFolder } from './folder.ts'
import { hexOf } from './oci/descriptor.ts'
import { LayoutRegistry } from './oci/layout.ts'
import { isDocument, MANIFEST_FILE, type Packed, packModel } from './oci/model-pack.ts'
import type { Registry } from './oci/registry.ts'
import { DEFAULT_TAG } from './reference.ts'
import { Scratch } from './sources/scratch.ts'
import { hashFile } from './store/hash.ts'
import { type SignedModel, signModel } from './trust/check.ts'
import { packTar } from './unpack/pack-tar.ts'

export interface PushOptions {
  /** Where to; the user's own registry unless given. */
  readonly registry?: Registry
  /** Tags beside the manifest's version and `latest`. */
  readonly tags?: readonly string[]
  /** Whether a version that is there with other content may be replaced. */
  readonly force?: boolean
  /** Signs the model with this private key. */
  readonly key?: KeyObject
}

export interface Pushed {
  readonly name: string
  readonly version: string
  readonly tags: readonly string[]
  /** `sha256:...` of the artifact. */
  readonly digest: string
  /** sha256 of the model file. */
  readonly sha256: string
  readonly registry: string
  /** Bytes sent; what the registry had already is skipped. */
  readonly sent: number
}

/**
 * Publishes a model: its folder, manifest or .onnx file with a manifest beside it. Every file is checked against the
 * manifest before anything is sent, the tags come last, and a published version never changes unless forced.
 *
 * @throws ZooError `integrity`, `invalid-manifest`, `conflict`, and what the registry throws
 */
export async function pushModel(client: Client, place: string, options: PushOptions = {}): Promise<Pushed> {
  const registry = options.registry ?? new LayoutRegistry(client.settings.registry)
  const { folder, manifest } = await openModelFolder(place)
  const scratch = new Scratch(client.settings.cache)
  try {
    const documents = await packDocuments(folder, manifest, scratch)
    const packed = packModel(manifest, documents)
    await checkConflict(registry, manifest, packed, options.force === true)
    const sent = await putAll(client, registry, folder, manifest, packed, documents?.path)
    const tags = [...new Set([manifest.version, DEFAULT_TAG, ...(options.tags ?? [])])]
    if (options.key !== undefined) {
      // The signature is there before anything can be found under a tag.
      await registry.putManifest(manifest.name, packed.descriptor, packed.bytes, [])
      await signModel(registry, signed(manifest, packed), packed.descriptor, options.key)
    }
    await registry.putManifest(manifest.name, packed.descriptor, packed.bytes, tags)
    return {
      ...{ name: manifest.name, version: manifest.version, tags, digest: packed.descriptor.digest },
      ...{ sha256: manifest.files[0]!.sha256, registry: registry.place, sent },
    }
  } finally {
    await scratch.close()
  }
}

const signed = (manifest: ModelManifest, { descriptor, card }: Packed): SignedModel => ({
  name: manifest.name,
  digest: descriptor.digest,
  files: [{ path: MANIFEST_FILE, sha256: hexOf(card.descriptor.digest) }, ...manifest.files],
})

async function packDocuments(folder: string, manifest: ModelManifest, scratch: Scratch) {
  const paths = manifest.files.filter((file, i) => i > 0 && isDocument(file.path)).map(({ path }) => path)
  if (paths.length === 0) return undefined
  const staging = await scratch.path()
  for (const path of paths) {
    await mkdir(dirname(join(staging, path)), { recursive: true })
    await copyFile(join(folder, path), join(staging, path))
    await chmod(join(staging, path), 0o644)
  }
  const path = await scratch.path()
  await packTar(staging, paths, path)
  return { path, ...(await hashFile(path)) }
}

async function checkConflict(registry: Registry, manifest: ModelManifest, packed: Packed, force: boolean) {
  const reference = { name: manifest.name, tag: manifest.version, digest: undefined }
  const published = await registry.resolve(reference)
  if (force || published === undefined || published.digest === packed.descriptor.digest) return
  throw new ZooError(
    'conflict',
    `${manifest.name}@${manifest.version} is published already with other content (${published.digest})`,
    { hint: "raise the manifest's version, or replace what is there with --force" },
  )
}

async function putAll(
  client: Client,
  registry: Registry,
  folder: string,
  manifest: ModelManifest,
  packed: Packed,
  documents: string | undefined,
): Promise<number> {
  const { name } = manifest
  const total = packed.image.layers.reduce((sum, { size }) => sum + size, packed.config.descriptor.size)
  const paths = new Map(manifest.files.map(({ path, sha256 }) => [`sha256:${sha256}`, join(folder, path)]))
  let done = 0
  let sent = 0
  for (const layer of [packed.config.descriptor, ...packed.image.layers]) {
    const content =
      layer.digest === packed.config.descriptor.digest
        ? packed.config.bytes
        : layer.digest === packed.card.descriptor.digest
          ? packed.card.bytes
          : { path: paths.get(layer.digest) ?? documents! }
    if (await registry.putBlob(name, layer, content)) sent += layer.size
    done += layer.size
    client.progress({ stage: `push ${name}`, done, total, unit: 'bytes' })
  }
  return sent
}
