import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { asZooError, ZooError } from '../../../manifests/error.ts'
import type { HttpResponse } from '../download/http.ts'
import { retrying, Unreachable } from '../download/retry.ts'
import type { Connection, RegistryRequest } from './connection.ts'
import type { Descriptor } from './descriptor.ts'
import type { Content } from './registry.ts'

/** Larger blobs go up in pieces, so that a broken connection costs one piece where the registry can resume. */
const CHUNK = 16 << 20
/** Bytes handed to the connection at once: a slow line makes visible headway. */
const WRITE = 64 << 10
/** Bytes that a registry checks and stores in a millisecond, at the least, before it confirms a blob. */
const CHECKED_PER_MS = 20_000

export interface UploadRequest {
  readonly repository: string
  readonly descriptor: Descriptor
  readonly content: Content
  /** Another repository of this registry that has the blob: the registry may then take it from there. */
  readonly mountFrom?: string | undefined
  readonly retries: number
  /** Bytes in a piece; a blob that has no more is sent at once. */
  readonly piece?: number
}

/**
 * Uploads a blob (distribution specification 1.1: POST, then PATCH for each chunk, then PUT with the digest). What
 * breaks goes on where the registry says it stopped; a session that the registry has forgotten begins anew.
 *
 * @returns false where the registry took it from the other repository and nothing was sent
 * @throws ZooError `network` where it got no further in so many tries, and what Connection throws
 */
export async function upload(connection: Connection, request: UploadRequest): Promise<boolean> {
  const uploading = new Upload(connection, request)
  return retrying(() => uploading.proceed(), {
    retries: request.retries,
    headway: () => uploading.furthest,
  })
}

class Upload {
  /** The most that any session received: one that begins anew makes no headway before it is further. */
  furthest = 0
  private readonly connection: Connection
  private readonly request: UploadRequest
  /** Where the next bytes go; undefined before there is a session, and when the registry has forgotten it. */
  private session: string | undefined
  private chunk: number
  private offset = 0
  private interrupted = false
  /** Whether the session's content rests on what the registry said it had received. */
  private resumed = false

  constructor(connection: Connection, request: UploadRequest) {
    this.connection = connection
    this.request = request
    this.chunk = request.piece ?? CHUNK
  }

  /** One try to bring it to its end; false where nothing needed to be sent. */
  async proceed(): Promise<boolean> {
    if (this.interrupted && (await this.takeUp())) return true
    this.interrupted = true
    if (this.session === undefined && (await this.begin())) return false
    try {
      while (this.isChunked && this.offset < this.size) await this.sendChunk()
      await this.finish()
    } catch (error) {
      // A registry that was still writing when it said where it stopped has a blob that nobody wants.
      if (!this.resumed || !(error instanceof ZooError)) throw error
      this.session = undefined
      throw new Unreachable(error.message, { cause: error })
    }
    return true
  }

  private get size(): number {
    return this.request.descriptor.size
  }

  private get isChunked(): boolean {
    return this.size > (this.request.piece ?? CHUNK)
  }

  /** Opens a session; true where the registry has taken the blob from the other repository instead. */
  private async begin(): Promise<boolean> {
    const { repository, descriptor, mountFrom } = this.request
    const mount =
      mountFrom === undefined ? '' : `?mount=${descriptor.digest}&from=${encodeURIComponent(mountFrom)}`
    const begun = await this.send(`/v2/${repository}/blobs/uploads/${mount}`, { method: 'POST' })
    if (begun.status === 201) return true
    this.goTo(begun)
    this.chunk = Math.max(this.chunk, Number(begun.headers['oci-chunk-min-length'] ?? 0))
    this.offset = 0
    this.resumed = false
    return false
  }

  /** Finds out what became of an interrupted upload; true where the registry has the blob after all. */
  private async takeUp(): Promise<boolean> {
    const { repository, descriptor } = this.request
    const blob = `/v2/${repository}/blobs/${descriptor.digest}`
    if ((await this.send(blob, { method: 'HEAD', expect: [404] })).status === 200) return true
    if (this.session === undefined) return false
    const status = await this.send(this.session, { expect: [400, 404, 409, 416] })
    const received =
      status.status < 300 ? Number(/-(\d+)$/.exec(status.headers.range ?? '')?.[1] ?? 0) + 1 : 0
    // `0-0` is what registries say of one byte and of none.
    if (this.isChunked && received > 1 && received <= this.size) {
      if (status.headers.location !== undefined) this.goTo(status)
      this.offset = received
      this.resumed = true
    } else this.session = undefined
    return false
  }

  private async sendChunk(): Promise<void> {
    const end = Math.min(this.offset + this.chunk, this.size)
    const sent = await this.sendBytes('PATCH', this.session!, end, {
      'content-range': `${this.offset}-${end - 1}`,
    })
    this.goTo(sent)
    this.offset = end
    this.furthest = Math.max(this.furthest, end)
  }

  /** Sends what no chunk has carried, and the digest by which the registry checks it all. */
  private async finish(): Promise<void> {
    const url = new URL(this.session!)
    url.searchParams.set('digest', this.request.descriptor.digest)
    await this.sendBytes('PUT', url.href, this.size)
  }

  private async sendBytes(
    method: 'PATCH' | 'PUT',
    url: string,
    end: number,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<HttpResponse> {
    const { content } = this.request
    const from = this.offset
    const sent = await this.send(url, {
      ...{ method, body: () => readPiece(content, from, end), expect: [404, 409, 416] },
      headers: {
        ...headers,
        'content-type': 'application/octet-stream',
        'content-length': String(end - from),
      },
      patience: method === 'PUT' ? this.size / CHECKED_PER_MS : 0,
    })
    if (sent.status < 300) return sent
    if (sent.status === 404) this.session = undefined
    const why = sent.status === 404 ? 'has forgotten the upload' : 'does not expect these bytes now'
    throw new Unreachable(`${this.connection.origin} ${why} (${sent.status}, after ${from} bytes)`)
  }

  private async send(url: string, options: RegistryRequest): Promise<HttpResponse> {
    const response = await this.connection.once(this.request.repository, url, options)
    await response.body.dump()
    return response
  }

  private goTo({ headers: { location } }: HttpResponse): void {
    if (location === undefined) throw new ZooError('network', 'the registry does not say where to upload to')
    this.session = this.connection.url(location)
  }
}

/** Bytes from `from` up to `end`, in small parts. */
function readPiece(content: Content, from: number, end: number): Readable {
  return Readable.from(
    content instanceof Uint8Array ? parts(content.subarray(from, end)) : fileParts(content.path, from, end),
  )
}

function* parts(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += WRITE) yield bytes.subarray(at, at + WRITE)
}

async function* fileParts(path: string, from: number, end: number): AsyncGenerator<Uint8Array> {
  let missing = end - from
  if (missing === 0) return
  try {
    for await (const part of createReadStream(path, { start: from, end: end - 1, highWaterMark: WRITE })) {
      missing -= part.length
      yield part
    }
  } catch (error) {
    throw asZooError(error)
  }
  if (missing > 0) throw new ZooError('integrity', `${path} changed while it was being sent`)
}
