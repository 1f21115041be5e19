import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import type { ModelManifest } from '../../manifests/schema/model.ts'
import type { Client } from './client.ts'
import { allOrNone } from './download/all-or-none.ts'
import { find, isOwn, registries } from './endpoints.ts'
import { type Descriptor, hexOf } from './oci/descriptor.ts'
import { isDocument, MANIFEST_FILE, readCard, type Unpacked, unpackModel } from './oci/model-pack.ts'
import type { Registry } from './oci/registry.ts'
import { printReference, type Reference } from './reference.ts'
import type { LinkMode } from './settings.ts'
import { Scratch } from './sources/scratch.ts'
import { adoptBlob, checkFile } from './store/blobs.ts'
import { isWhole, materialise, type PlacedFile } from './store/materialise.ts'
import { checkSpace } from './store/space.ts'
import { checkTrust, type SignatureState, type SignedModel } from './trust/check.ts'
import { unpackTar } from './unpack/tar.ts'

/** A published model before its files are fetched. */
export interface Published {
  readonly registry: Registry
  readonly descriptor: Descriptor
  readonly artifact: Unpacked
  readonly manifest: ModelManifest
  /** The manifest as a file of the model's folder. */
  readonly card: PlacedFile
  /** Where the model lies in the cache or would lie. */
  readonly folder: string
}

export interface Pulled {
  /** The folder with `manifest.json` and the files that it names. */
  readonly folder: string
  /** The .onnx file in it. */
  readonly path: string
  readonly manifest: ModelManifest
  /** `sha256:...` of the artifact. */
  readonly digest: string
  /** sha256 of the model file. */
  readonly sha256: string
  /** Where it came from. */
  readonly registry: string
  /** Whether it was here already, whole. */
  readonly cached: boolean
  readonly signature: SignatureState
}

/**
 * Finds a model and reads its manifest; nothing else is fetched.
 *
 * @param places where to look: the user's own registry, the embedded one and the endpoint unless given
 * @throws ZooError `not-found`, `integrity` where the artifact contradicts itself
 */
export async function findModel(
  client: Client,
  reference: Reference,
  places: readonly Registry[] = registries(client),
): Promise<Published> {
  const { registry, descriptor } = await find(places, reference)
  const what = printReference(reference)
  const artifact = unpackModel(await registry.manifest(reference.name, descriptor), what)
  const from = await registry.blob(reference.name, artifact.card)
  const manifest = readCard(await readFile(from), artifact, what)
  if (manifest.name !== reference.name)
    throw new ZooError('integrity', `${registry.place} gives ${manifest.name} when asked for ${what}`)
  const { digest, size } = artifact.card
  return {
    ...{ registry, descriptor, artifact, manifest },
    card: { path: MANIFEST_FILE, size, sha256: hexOf(digest), from },
    folder: join(client.settings.cache, 'models', manifest.name, hexOf(descriptor.digest).slice(0, 16)),
  }
}

/** What signatures of a model are about. */
export const signedModel = ({ descriptor, manifest, card }: Published): SignedModel => ({
  ...{ name: manifest.name, digest: descriptor.digest, files: [card, ...manifest.files] },
})

/**
 * Gets a model by name into the cache, every byte checked against the digest that the reference leads to and its
 * signature against the user's policy, and gives the folder where it lies. What is there and whole is not fetched
 * again.
 *
 * @throws ZooError `not-found`, `integrity`, `network`, `disk` and the like
 */
export async function pullModel(
  client: Client,
  reference: Reference,
  places: readonly Registry[] = registries(client),
): Promise<Pulled> {
  const published = await findModel(client, reference, places)
  const { registry, descriptor, artifact, manifest, card, folder } = published
  const signature = await checkTrust(client, registry, signedModel(published), isOwn(client, registry))
  const { cache } = client.settings
  const cached = await isWhole(folder, [card, ...manifest.files])
  if (!cached) {
    const scratch = new Scratch(cache)
    try {
      const files = await fetchLayers(client, registry, artifact, manifest, scratch)
      await materialise(cache, folder, [card, ...files], linkMode(client.settings.linkMode, artifact))
    } finally {
      await scratch.close()
    }
  }
  const model = manifest.files[0]!
  return {
    ...{ folder, path: join(folder, model.path), manifest, digest: descriptor.digest },
    ...{ sha256: model.sha256, registry: registry.place, cached, signature },
  }
}

/** Every file of the manifest, from its layer or out of the documents, checked. */
async function fetchLayers(
  client: Client,
  registry: Registry,
  { weights, documents }: Unpacked,
  manifest: ModelManifest,
  scratch: Scratch,
): Promise<PlacedFile[]> {
  const { cache, concurrency } = client.settings
  const layers = [...weights.values(), ...(documents ? [documents] : [])]
  const total = layers.reduce((sum, { size }) => sum + size, 0)
  await checkSpace(cache, total)
  let done = 0
  const onBytes = (bytes: number): void => {
    done += bytes
    client.progress({ stage: `pull ${manifest.name}`, done, total, unit: 'bytes' })
  }
  const paths = await allOrNone(concurrency, layers, (layer, signal) =>
    registry.blob(manifest.name, layer, { onBytes, signal }),
  )
  const byDigest = new Map(layers.map(({ digest }, i) => [digest, paths[i]!]))
  const unpacked = documents && (await unpackDocuments(byDigest.get(documents.digest)!, scratch))
  const place = async (file: ModelManifest['files'][number], i: number): Promise<PlacedFile> => {
    const isLayer = i === 0 || !isDocument(file.path)
    if (isLayer) return { ...file, from: byDigest.get(`sha256:${file.sha256}`)! }
    const path = join(unpacked!, file.path)
    await checkFile(path, file, `${file.path} of ${manifest.name}`)
    return { ...file, from: await adoptBlob(cache, path, file.sha256) }
  }
  return await Promise.all(manifest.files.map(place))
}

async function unpackDocuments(archive: string, scratch: Scratch): Promise<string> {
  const folder = await scratch.path()
  await unpackTar(archive, folder)
  return folder
}

/** Tools refuse external data with several hard links, so a model that has some is copied. */
const linkMode = (mode: LinkMode, { weights }: Unpacked): LinkMode =>
  mode === 'auto' && weights.size > 1 ? 'reflink' : mode
