import { open } from 'node:fs/promises'
import { ZooError } from '../../../manifests/error.ts'
import { retrying, Unreachable } from '../download/retry.ts'
import type { Connection } from './connection.ts'
import type { Descriptor } from './descriptor.ts'
import type { Content } from './registry.ts'

/** Larger blobs go up in pieces, so that a broken connection costs one piece. */
const CHUNK = 16 << 20

export interface UploadRequest {
  readonly repository: string
  readonly descriptor: Descriptor
  readonly content: Content
  /** Another repository of this registry that has the blob: the registry may then take it from there. */
  readonly mountFrom?: string | undefined
  readonly retries: number
}

/**
 * Uploads a blob (distribution specification 1.1: POST, then PATCH for each chunk, then PUT with the digest).
 *
 * @returns false where the registry took it from the other repository and nothing was sent
 */
export async function upload(connection: Connection, request: UploadRequest): Promise<boolean> {
  const { repository, descriptor, content, mountFrom } = request
  const mount =
    mountFrom === undefined ? '' : `?mount=${descriptor.digest}&from=${encodeURIComponent(mountFrom)}`
  const begun = await connection.request(repository, `/v2/${repository}/blobs/uploads/${mount}`, {
    method: 'POST',
  })
  await begun.body.dump()
  if (begun.status === 201) return false
  let session = place(connection, begun.headers.location)
  if (descriptor.size > CHUNK) session = await sendChunks(connection, request, session, begun.headers)
  const url = new URL(session)
  url.searchParams.set('digest', descriptor.digest)
  const rest = descriptor.size > CHUNK ? new Uint8Array(0) : await piece(content, 0, descriptor.size)
  const done = await connection.request(repository, url.href, {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(rest.length) },
    body: rest,
  })
  await done.body.dump()
  return true
}

/** Sends every chunk, each again from where the registry says it stopped when the connection breaks. */
async function sendChunks(
  connection: Connection,
  { repository, descriptor, content, retries }: UploadRequest,
  first: string,
  begun: Readonly<Record<string, string>>,
): Promise<string> {
  const chunk = Math.max(CHUNK, Number(begun['oci-chunk-min-length'] ?? 0))
  let session = first
  let offset = 0
  let broken = false
  const next = async (): Promise<void> => {
    if (broken) {
      const status = await connection.request(repository, session, { expect: [204, 404] })
      await status.body.dump()
      if (status.status === 404) throw new ZooError('network', 'the registry has given up the upload')
      session = place(connection, status.headers.location ?? session)
      offset = Number(/-(\d+)$/.exec(status.headers.range ?? '')?.[1] ?? -1) + 1
      broken = false
    }
    const bytes = await piece(content, offset, Math.min(chunk, descriptor.size - offset))
    try {
      const sent = await connection.request(repository, session, {
        method: 'PATCH',
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': String(bytes.length),
          'content-range': `${offset}-${offset + bytes.length - 1}`,
        },
        body: bytes,
      })
      await sent.body.dump()
      session = place(connection, sent.headers.location)
      offset += bytes.length
    } catch (error) {
      if (!(error instanceof ZooError) || error.code !== 'network') throw error
      broken = true
      throw new Unreachable(error.message, { cause: error })
    }
  }
  while (offset < descriptor.size) await retrying(next, { retries, headway: () => offset })
  return session
}

function place(connection: Connection, location: string | undefined): string {
  if (location === undefined) throw new ZooError('network', 'the registry does not say where to upload to')
  return connection.url(location)
}

async function piece(content: Content, offset: number, length: number): Promise<Uint8Array> {
  if (content instanceof Uint8Array) return content.subarray(offset, offset + length)
  const file = await open(content.path, 'r')
  try {
    const bytes = Buffer.alloc(length)
    for (let done = 0; done < length; ) {
      const { bytesRead } = await file.read(bytes, done, length - done, offset + done)
      if (bytesRead === 0) throw new ZooError('integrity', `${content.path} changed while it was being sent`)
      done += bytesRead
    }
    return bytes
  } finally {
    await file.close()
  }
}
