import { existsSync } from 'node:fs'
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic, writeJsonAtomic } from '../../../manifests/atomic.ts'
import { ZooError } from '../../../manifests/error.ts'
import { parseAs } from '../../../manifests/schema/parse.ts'
import type { Reference } from '../reference.ts'
import { adoptBlob, blobPath, checkFile, hasBlob, putBlob, soundBlob, temporaryIn } from '../store/blobs.ts'
import { withLock } from '../store/lock.ts'
import {
  type Descriptor,
  hexOf,
  IMAGE_INDEX,
  imageIndexSchema,
  imageManifestSchema,
  REF_NAME,
} from './descriptor.ts'
import type { Content, Registry } from './registry.ts'

/**
 * A registry in a folder: an OCI image layout (image specification 1.1, image-layout.md). A model's version is an entry
 * of `index.json` with the reference name `NAME:TAG`; signatures are entries without one, found by their subject.
 * Other tools read it: `skopeo copy oci:FOLDER:NAME:TAG docker://...`.
 */
export class LayoutRegistry implements Registry {
  readonly place: string

  constructor(folder: string) {
    this.place = folder
  }

  async resolve({ name, tag, digest }: Reference): Promise<Descriptor | undefined> {
    const entries = await this.entries()
    return entries.find(
      (entry) =>
        (digest === undefined ? refName(entry) === `${name}:${tag}` : entry.digest === digest) &&
        refName(entry)?.startsWith(`${name}:`),
    )
  }

  async manifest(name: string, descriptor: Descriptor): Promise<Buffer> {
    return readFile(await this.blob(name, descriptor))
  }

  async blob(name: string, { digest, size }: Descriptor): Promise<string> {
    const path = await soundBlob(this.place, { sha256: hexOf(digest), size })
    if (path !== undefined) return path
    const state = existsSync(blobPath(this.place, hexOf(digest))) ? 'damaged' : 'missing'
    throw new ZooError('integrity', `a file of ${name} in ${this.place} is ${state} (${digest})`, {
      hint: 'publish the model again: zoo push',
    })
  }

  async referrers(_name: string, digest: string): Promise<Descriptor[]> {
    const found: Descriptor[] = []
    for (const entry of await this.entries()) {
      if (refName(entry) !== undefined) continue
      const bytes = await this.manifest('an artifact', entry)
      const manifest = parseAs(imageManifestSchema, JSON.parse(bytes.toString()), entry.digest)
      if (manifest.subject?.digest === digest) found.push({ ...entry, artifactType: manifest.artifactType })
    }
    return found
  }

  async list(): Promise<{ name: string; tags: string[] }[]> {
    const tags = new Map<string, string[]>()
    for (const entry of await this.entries()) {
      const [name, tag] = refName(entry)?.split(':') ?? []
      if (name !== undefined && tag !== undefined) tags.set(name, [...(tags.get(name) ?? []), tag])
    }
    return [...tags]
      .map(([name, list]) => ({ name, tags: list.sort() }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async putBlob(_name: string, { digest, size }: Descriptor, content: Content): Promise<boolean> {
    const wanted = { sha256: hexOf(digest), size }
    if (await hasBlob(this.place, wanted)) return false
    if (content instanceof Uint8Array) await putBlob(this.place, content, wanted.sha256)
    else {
      const temporary = await temporaryIn(this.place)
      await copyFile(content.path, temporary)
      await checkFile(temporary, wanted, content.path)
      await adoptBlob(this.place, temporary, wanted.sha256)
    }
    return true
  }

  async putManifest(
    name: string,
    descriptor: Descriptor,
    bytes: Uint8Array,
    tags: readonly string[],
  ): Promise<void> {
    await this.putBlob(name, descriptor, bytes)
    const names = tags.map((tag) => `${name}:${tag}`)
    const { annotations: _, ...plain } = descriptor
    const waiting = (): void => {} // Others hold it for milliseconds.
    await withLock(join(this.place, '.lock'), waiting, async () => {
      const others = (await this.entries()).filter((entry) => {
        const known = refName(entry)
        return known === undefined ? entry.digest !== descriptor.digest : !names.includes(known)
      })
      const entries = names.map((known) => ({ ...plain, annotations: { [REF_NAME]: known } }))
      await writeFileAtomic(join(this.place, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}\n')
      await writeJsonAtomic(join(this.place, 'index.json'), {
        schemaVersion: 2,
        mediaType: IMAGE_INDEX,
        manifests: [...others, ...(names.length > 0 ? entries : [plain])],
      })
    })
  }

  private async entries(): Promise<Descriptor[]> {
    const path = join(this.place, 'index.json')
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    return text === undefined ? [] : parseAs(imageIndexSchema, parseJson(text, path), path).manifests
  }
}

const refName = (entry: Descriptor): string | undefined => entry.annotations?.[REF_NAME]

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ZooError('invalid-manifest', `${path} is not JSON`, { cause: error })
  }
}
