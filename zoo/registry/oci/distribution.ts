import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeJsonAtomic } from '../../../manifests/atomic.ts'
import { ZooError } from '../../../manifests/error.ts'
import { parseAs } from '../../../manifests/schema/parse.ts'
import type { Client } from '../client.ts'
import { download } from '../download/download.ts'
import type { HttpResponse } from '../download/http.ts'
import type { Reference } from '../reference.ts'
import { fetchMirrored } from '../sources/fetch.ts'
import { blobPath, putBlob, soundBlob } from '../store/blobs.ts'
import { sha256Of } from '../store/hash.ts'
import { Connection } from './connection.ts'
import {
  type Descriptor,
  descriptorSchema,
  hexOf,
  IMAGE_INDEX,
  IMAGE_MANIFEST,
  imageIndexSchema,
  imageManifestSchema,
} from './descriptor.ts'
import type { Content, Registry, Transfer } from './registry.ts'
import { upload } from './upload.ts'

/** Registries refuse larger manifests, and so do we. */
const LARGEST_MANIFEST = 4 << 20

/**
 * A container registry over HTTP (OCI distribution specification 1.1). A model is the repository PREFIX/NAME. Manifests
 * and what tags pointed to last are kept in the cache, so that what was pulled once can be pulled offline.
 */
export class DistributionRegistry implements Registry {
  readonly place: string
  private readonly client: Client
  private readonly connection: Connection
  private readonly host: string
  private readonly prefix: string

  /** @param endpoint HOST[:PORT][/PREFIX] */
  constructor(client: Client, endpoint: string) {
    this.client = client
    const [host = '', ...path] = endpoint.replace(/\/+$/, '').split('/')
    this.place = endpoint
    this.host = host
    this.prefix = path.map((part) => `${part}/`).join('')
    this.connection = new Connection(client, host)
  }

  async resolve(reference: Reference): Promise<Descriptor | undefined> {
    const known = this.refPath(reference)
    if (this.client.settings.offline || reference.digest !== undefined) {
      const remembered = await readDescriptor(known)
      if (remembered !== undefined) return remembered
    }
    const descriptor = await this.fetchManifest(reference)
    if (descriptor !== undefined) await remember(known, descriptor)
    return descriptor
  }

  async manifest(name: string, { digest, size }: Descriptor): Promise<Buffer> {
    const { cache } = this.client.settings
    const kept = await soundBlob(cache, { sha256: hexOf(digest), size })
    if (kept !== undefined) return readFile(kept)
    if ((await this.fetchManifest({ name, tag: '', digest })) === undefined)
      throw new ZooError('not-found', `${this.place} does not have ${name}@${digest}`)
    return readFile(blobPath(cache, hexOf(digest)))
  }

  async blob(name: string, { digest, size }: Descriptor, transfer: Transfer = {}): Promise<string> {
    const repository = this.repository(name)
    const { cache } = this.client.settings
    const kept = await soundBlob(cache, { sha256: hexOf(digest), size })
    if (kept !== undefined) {
      transfer.onBytes?.(size)
      return kept
    }
    const mirrored = await fetchMirrored(this.client, { sha256: hexOf(digest), size }, transfer)
    if (mirrored !== undefined) return mirrored
    const path = await download(this.client, {
      url: this.connection.url(`/v2/${repository}/blobs/${digest}`),
      headers: () => this.connection.headers(repository),
      ...{ sha256: hexOf(digest), size, ...transfer },
    })
    await this.rememberHome(digest, repository)
    return path
  }

  async referrers(name: string, digest: string): Promise<Descriptor[]> {
    const known = this.refPath({ name, tag: '', digest: `${digest}.referrers` })
    if (this.client.settings.offline) return (await readDescriptors(known)) ?? []
    const repository = this.repository(name)
    const response = await this.connection.request(repository, `/v2/${repository}/referrers/${digest}`, {
      headers: { accept: IMAGE_INDEX },
      expect: [404],
    })
    const found = await readIndexOr404(response, this.place)
    const referrers = found ?? (await this.fallbackReferrers(name, digest))
    await remember(known, referrers)
    return referrers
  }

  async list(): Promise<{ name: string; tags: string[] }[]> {
    const models: { name: string; tags: string[] }[] = []
    for (const repository of await this.pages('/v2/_catalog', 'repositories', '')) {
      const name = repository.startsWith(this.prefix) ? repository.slice(this.prefix.length) : ''
      if (name === '' || name.includes('/')) continue
      const tags = await this.pages(`/v2/${repository}/tags/list`, 'tags', repository)
      const ours = tags.filter((tag) => !tag.startsWith('sha256-')).sort()
      if (ours.length > 0) models.push({ name, tags: ours })
    }
    return models
  }

  async putBlob(name: string, descriptor: Descriptor, content: Content): Promise<boolean> {
    const repository = this.repository(name)
    const head = await this.connection.request(repository, `/v2/${repository}/blobs/${descriptor.digest}`, {
      method: 'HEAD',
      expect: [404],
    })
    await head.body.dump()
    if (head.status === 200) return false
    const home = await this.recallHome(descriptor.digest)
    const sent = await upload(this.connection, {
      ...{ repository, descriptor, content, retries: this.client.settings.retries },
      mountFrom: home === repository ? undefined : home,
    })
    await this.rememberHome(descriptor.digest, repository)
    return sent
  }

  async putManifest(
    name: string,
    descriptor: Descriptor,
    bytes: Uint8Array,
    tags: readonly string[],
  ): Promise<void> {
    const repository = this.repository(name)
    for (const reference of [descriptor.digest, ...tags]) {
      const response = await this.connection.request(repository, `/v2/${repository}/manifests/${reference}`, {
        method: 'PUT',
        headers: { 'content-type': descriptor.mediaType },
        body: bytes,
      })
      await response.body.dump()
      const { subject } = imageManifestSchema.partial().parse(JSON.parse(Buffer.from(bytes).toString()))
      if (subject && reference === descriptor.digest && response.headers['oci-subject'] === undefined)
        await this.addReferrer(name, subject.digest, descriptor)
    }
  }

  /** Gets a manifest into the cache; undefined where the registry has none for the reference. */
  private async fetchManifest({ name, tag, digest }: Reference): Promise<Descriptor | undefined> {
    const path = `/v2/${this.repository(name)}/manifests/${digest ?? tag}`
    const response = await this.connection.request(this.repository(name), path, {
      headers: { accept: IMAGE_MANIFEST },
      expect: [404],
    })
    if (response.status === 404) {
      await response.body.dump()
      return undefined
    }
    const bytes = await readAtMost(response.body, LARGEST_MANIFEST, path)
    const found = `sha256:${sha256Of(bytes)}`
    if (digest !== undefined && found !== digest)
      throw new ZooError('integrity', `${this.place} sends another manifest than ${digest} for ${name}`)
    const { cache } = this.client.settings
    const kept = await soundBlob(cache, { sha256: hexOf(found), size: bytes.length })
    if (kept === undefined) await putBlob(cache, bytes, hexOf(found))
    const mediaType = response.headers['content-type']?.split(';')[0] ?? IMAGE_MANIFEST
    return { mediaType, digest: found, size: bytes.length }
  }

  /** Where the cache remembers what a reference pointed to. */
  private refPath({ name, tag, digest }: Reference): string {
    const { cache } = this.client.settings
    return join(cache, 'refs', this.host.replace(':', '_'), this.repository(name), `${digest ?? tag}.json`)
  }

  /** Registries without the referrers API keep an index under a tag made from the subject's digest. */
  private async fallbackReferrers(name: string, digest: string): Promise<Descriptor[]> {
    const path = `/v2/${this.repository(name)}/manifests/${digest.replace(':', '-')}`
    const response = await this.connection.request(this.repository(name), path, {
      headers: { accept: IMAGE_INDEX },
      expect: [404],
    })
    return (await readIndexOr404(response, this.place)) ?? []
  }

  private async addReferrer(name: string, subject: string, descriptor: Descriptor): Promise<void> {
    const others = (await this.fallbackReferrers(name, subject)).filter(
      ({ digest }) => digest !== descriptor.digest,
    )
    const index = { schemaVersion: 2, mediaType: IMAGE_INDEX, manifests: [...others, descriptor] }
    const path = `/v2/${this.repository(name)}/manifests/${subject.replace(':', '-')}`
    const response = await this.connection.request(this.repository(name), path, {
      method: 'PUT',
      headers: { 'content-type': IMAGE_INDEX },
      body: JSON.stringify(index),
    })
    await response.body.dump()
  }

  /** Every page of a list; a repository in which nothing was ever finished has none. */
  private async pages(path: string, field: 'repositories' | 'tags', repository: string): Promise<string[]> {
    const found: string[] = []
    let next: string | undefined = path
    while (next !== undefined) {
      const response = await this.connection.request(repository, next, {
        expect: repository === '' ? [] : [404],
      })
      const body: unknown = JSON.parse(await response.body.text())
      const page = z.object({ [field]: z.array(z.string()).nullish() }).parse(body)
      found.push(...(page[field] ?? []))
      next = /<([^>]+)>;\s*rel="?next"?/.exec(response.headers.link ?? '')?.[1]
    }
    return found
  }

  private repository(name: string): string {
    return this.prefix + name
  }

  /** Which repository of this registry has a blob, as last seen: the registry can then mount it instead of receiving it. */
  private homePath(digest: string): string {
    return join(this.client.settings.cache, 'homes', this.host.replace(':', '_'), hexOf(digest))
  }

  private rememberHome(digest: string, repository: string): Promise<void> {
    return remember(this.homePath(digest), repository)
  }

  private recallHome(digest: string): Promise<string | undefined> {
    return readFile(this.homePath(digest), 'utf8').then(
      (text) => JSON.parse(text) as string,
      () => undefined,
    )
  }
}

async function readIndexOr404(response: HttpResponse, what: string): Promise<Descriptor[] | undefined> {
  const text = await response.body.text()
  if (response.status === 404) return undefined
  return parseAs(imageIndexSchema, JSON.parse(text), `an index of ${what}`).manifests
}

const readDescriptor = (path: string): Promise<Descriptor | undefined> =>
  readRemembered(path, descriptorSchema)
const readDescriptors = (path: string): Promise<Descriptor[] | undefined> =>
  readRemembered(path, z.array(descriptorSchema))

/** Writes only what is news, so that a cache that cannot be written serves all that it has. */
async function remember(path: string, document: unknown): Promise<void> {
  const known = await readFile(path, 'utf8').catch(() => '""')
  if (JSON.stringify(JSON.parse(known)) !== JSON.stringify(document)) await writeJsonAtomic(path, document)
}

async function readRemembered<T extends z.ZodType>(
  path: string,
  schema: T,
): Promise<z.output<T> | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : parseAs(schema, JSON.parse(text), path)
}

async function readAtMost(body: AsyncIterable<Uint8Array>, most: number, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.byteLength
    if (size > most) throw new ZooError('integrity', `${what} is larger than any manifest (${most} bytes)`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
