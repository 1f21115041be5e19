import { readFile, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { datasetManifest, datasetNames } from '../../manifests/datasets/read.ts'
import type { Client } from './client.ts'
import { dataPlace } from './data.ts'
import { embedded } from './endpoints.ts'
import { readManifest } from './folder.ts'
import { descriptorSchema, hexOf, imageManifestSchema } from './oci/descriptor.ts'
import { LayoutRegistry } from './oci/layout.ts'
import { MANIFEST_FILE } from './oci/model-pack.ts'
import { blobPath } from './store/blobs.ts'
import { isAlive } from './store/lock.ts'
import { filesBelow } from './verify.ts'

export interface Pruned {
  /** Paths that went, or would go. */
  readonly removed: readonly string[]
  readonly bytes: number
}

/**
 * Removes from the cache what nothing leads to any more: mark from the references, the local registries and the data
 * sets of this version, then sweep. What changed within the grace period stays, since a pull may be about to use it;
 * so does what a living process of this machine writes.
 *
 * @param options.grace milliseconds
 */
export async function prune(
  client: Client,
  options: { readonly grace: number; readonly dryRun: boolean },
): Promise<Pruned> {
  const { cache } = client.settings
  const marks = await mark(client)
  const removed: string[] = []
  let bytes = 0
  const sweep = async (path: string): Promise<void> => {
    const facts = await stat(path).catch(() => undefined)
    if (facts === undefined || Date.now() - Math.max(facts.mtimeMs, facts.ctimeMs) < options.grace) return
    bytes += await sizeOf(path)
    removed.push(path)
    if (!options.dryRun) await rm(path, { recursive: true, force: true })
  }
  for (const folder of await childrenOf(cache, 'models', 2))
    if (!marks.folders.has(folder)) await sweep(folder)
  for (const folder of await childrenOf(cache, 'data', 2)) if (!marks.folders.has(folder)) await sweep(folder)
  for (const blob of await childrenOf(cache, 'blobs/sha256', 1)) if (!marks.blobs.has(blob)) await sweep(blob)
  for (const home of await childrenOf(cache, 'homes', 2)) await sweep(home)
  for (const kind of ['partial', 'tmp', 'locks'])
    for (const path of await childrenOf(cache, kind, 1)) if (!isInUse(path)) await sweep(path)
  return { removed, bytes }
}

interface Marks {
  readonly blobs: ReadonlySet<string>
  readonly folders: ReadonlySet<string>
}

async function mark(client: Client): Promise<Marks> {
  const { cache, registry } = client.settings
  const blobs = new Set<string>()
  const folders = new Set<string>()
  const keep = (digest: string): Set<string> => blobs.add(blobPath(cache, hexOf(digest)))
  for (const path of await filesBelow(join(cache, 'refs'))) {
    const document: unknown = JSON.parse(await readFile(join(cache, 'refs', path), 'utf8'))
    for (const descriptor of [document].flat().map((entry) => descriptorSchema.parse(entry))) {
      keep(descriptor.digest)
      for (const digest of await layersOf(blobPath(cache, hexOf(descriptor.digest)))) keep(digest)
      folders.add(join(cache, 'models', modelOf(path), hexOf(descriptor.digest).slice(0, 16)))
    }
  }
  for (const layout of [new LayoutRegistry(registry), embedded(client.settings)]) {
    for (const { name, tags } of await layout.list())
      for (const tag of tags) {
        const descriptor = await layout.resolve({ name, tag, digest: undefined })
        folders.add(join(cache, 'models', name, hexOf(descriptor!.digest).slice(0, 16)))
      }
  }
  for (const name of datasetNames()) {
    const manifest = datasetManifest(name)!
    const { folder, sha256 } = dataPlace(client, manifest)
    folders.add(folder)
    for (const file of [{ sha256 }, ...manifest.files]) keep(`sha256:${file.sha256}`)
  }
  for (const folder of folders) for (const sha256 of await documentsIn(folder)) keep(`sha256:${sha256}`)
  return { blobs, folders }
}

/** `refs/HOST/PREFIX/NAME/TAG.json` */
const modelOf = (path: string): string => dirname(path).split(/[/\\]/).at(-1)!

/** Digests of an artifact's parts; a manifest that isn't here has none to keep. */
async function layersOf(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  const image = imageManifestSchema.safeParse(text === undefined ? undefined : JSON.parse(text))
  return image.success ? [image.data.config, ...image.data.layers].map(({ digest }) => digest) : []
}

/** Digests of what a model's folder was made from; documents come out of a tar and are in no artifact by themselves. */
async function documentsIn(folder: string): Promise<string[]> {
  try {
    return readManifest(join(folder, MANIFEST_FILE)).files.map(({ sha256 }) => sha256)
  } catch {
    return [] // It isn't here, or is a data set.
  }
}

/** Paths `depth` levels below a folder of the cache. */
async function childrenOf(cache: string, folder: string, depth: number): Promise<string[]> {
  const below = new Set(
    (await filesBelow(join(cache, folder))).map((path) => path.split('/').slice(0, depth).join('/')),
  )
  return [...below].map((path) => join(cache, folder, path)).sort()
}

/** Partial files are named `KEY.HOST.PID.ID`, temporary ones `PID-ID`. */
function isInUse(path: string): boolean {
  const name = path.split(/[/\\]/).at(-1)!
  const pid =
    /^(\d+)-/.exec(name)?.[1] ??
    (name.includes(`.${hostname()}.`) ? /\.(\d+)\.[^.]+(\.etag)?$/.exec(name)?.[1] : undefined)
  return pid !== undefined && isAlive(Number(pid))
}

async function sizeOf(path: string): Promise<number> {
  const facts = await stat(path)
  if (!facts.isDirectory()) return facts.nlink > 1 ? 0 : facts.size
  let bytes = 0
  for (const file of await filesBelow(path)) {
    const { size, nlink } = await stat(join(path, file))
    bytes += nlink > 1 ? 0 : size // Linked to a blob: it frees nothing by itself.
  }
  return bytes
}
