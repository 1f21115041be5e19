import { join } from 'node:path'
import { ZooError } from '../../../manifests/error.ts'
import type { Client } from '../client.ts'
import { adoptBlob, soundBlob } from '../store/blobs.ts'
import { sha256Of } from '../store/hash.ts'
import { withLock } from '../store/lock.ts'
import { type HttpResponse, reason } from './http.ts'
import { looksWrong } from './looks-wrong.ts'
import { PartialFile } from './partial.ts'
import { retryAfter, retrying, Unreachable } from './retry.ts'

export interface DownloadRequest {
  readonly url: string
  /** A function where a token may need to be renewed between tries. */
  readonly headers?: (() => Promise<Readonly<Record<string, string>>>) | undefined
  /** Without a digest the content is kept under the one it turns out to have. */
  readonly sha256?: string | undefined
  readonly size?: number | undefined
  /** Bytes as they arrive; negative where a transfer had to begin again. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  /** How many bytes there will be, once the server has said so. */
  readonly onLength?: ((bytes: number) => void) | undefined
  /** Stops it; what has arrived is kept for another time. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Fetches a URL into the cache's content-addressed store: hashed as it streams, resumed where it broke off (also by
 * another process), and only ever visible when complete and right. Processes that want the same file wait for the one
 * that fetches it.
 *
 * @returns the blob's path
 * @throws ZooError `network`, `integrity`, `not-found`, `authorisation`, `offline`, `disk`
 */
export async function download(client: Client, request: DownloadRequest): Promise<string> {
  const { cache } = client.settings
  const { sha256, size } = request
  const key = sha256 ?? `url-${sha256Of(request.url)}`
  const kept = async (): Promise<string | undefined> =>
    sha256 === undefined ? undefined : soundBlob(cache, { sha256, size })
  const here = await kept()
  if (here !== undefined) return here
  const waiting = (): void => client.note('another process is fetching the same file: waiting for it')
  return withLock(join(cache, 'locks', key), waiting, async () => {
    const now = await kept()
    if (now !== undefined) return now
    const partial = await PartialFile.open(join(cache, 'partial'), key)
    request.onBytes?.(partial.size)
    const { inherited } = partial
    try {
      return await receive(client, request, partial)
    } catch (error) {
      // What a crash left may be damaged: before the source is blamed, everything is fetched once more.
      if (inherited && error instanceof ZooError && error.code === 'integrity')
        return receive(client, request, await PartialFile.open(join(cache, 'partial'), key))
      throw error
    }
  })
}

async function receive(client: Client, request: DownloadRequest, partial: PartialFile): Promise<string> {
  const { cache, retries } = client.settings
  try {
    await retrying(() => attempt(client, request, partial), {
      ...{ retries, headway: () => partial.size, signal: request.signal },
    })
  } catch (error) {
    if (error instanceof ZooError && error.code === 'integrity') {
      request.onBytes?.(-partial.size)
      await partial.discard()
    } else await partial.keep()
    throw error
  }
  const sha256 = await partial.finish()
  if (request.sha256 !== undefined && sha256 !== request.sha256) {
    request.onBytes?.(-partial.size)
    await partial.discard()
    throw new ZooError('integrity', `${request.url} has sha256 ${sha256} instead of ${request.sha256}`, {
      hint: 'the file was replaced or damaged at its source: nothing of it was kept',
    })
  }
  return adoptBlob(cache, partial.path, sha256)
}

/** One request and as much of its body as arrives. */
async function attempt(client: Client, request: DownloadRequest, partial: PartialFile): Promise<void> {
  const { url, size } = request
  if (size !== undefined && partial.size === size && size > 0) return
  const headers = {
    'accept-encoding': 'identity',
    ...(await request.headers?.()),
    ...rangeOf(request, partial),
  }
  const response = await client.http.request(url, { headers, signal: request.signal })
  if (response.status === 416) {
    await response.body.dump()
    await startOver(request, partial)
    throw new Unreachable(`${url} cannot be resumed where it broke off`, { retryAfter: 0 })
  }
  if (response.status !== 200 && response.status !== 206) await refuse(response, url)
  if (response.status === 200 || !continues(response, partial.size)) {
    if (response.status === 206) throw new ZooError('network', `${url} sends another part than was asked for`)
    if (partial.size > 0) await startOver(request, partial)
    await partial.version(strongEtag(response))
  }
  checkLength(response, request, partial)
  const length = response.headers['content-length']
  if (length !== undefined) request.onLength?.(partial.size + Number(length))
  await readBody(response, request, partial)
}

/** Without a digest only a version that the server vouches for can be resumed. */
function rangeOf({ sha256 }: DownloadRequest, { size, etag }: PartialFile): Record<string, string> {
  if (size === 0 || (sha256 === undefined && etag === undefined)) return {}
  return { range: `bytes=${size}-`, ...(etag === undefined ? {} : { 'if-range': etag }) }
}

async function startOver(request: DownloadRequest, partial: PartialFile): Promise<void> {
  request.onBytes?.(-partial.size)
  await partial.restart()
}

const continues = (response: HttpResponse, from: number): boolean =>
  response.headers['content-range']?.startsWith(`bytes ${from}-`) === true

const strongEtag = ({ headers: { etag } }: HttpResponse): string | undefined =>
  etag?.startsWith('"') ? etag : undefined

/** A wrong length is known before the first byte. */
function checkLength(response: HttpResponse, { url, size }: DownloadRequest, partial: PartialFile): void {
  const length = response.headers['content-length']
  if (size === undefined || length === undefined || partial.size + Number(length) === size) return
  const isText = response.headers['content-type']?.startsWith('text/html')
  throw new ZooError(
    'integrity',
    `${url} has ${partial.size + Number(length)} bytes instead of ${size}${isText ? ': it is a web page' : ''}`,
    { hint: 'the file was replaced at its source, or the URL leads to a page about it' },
  )
}

async function readBody(
  response: HttpResponse,
  request: DownloadRequest,
  partial: PartialFile,
): Promise<void> {
  const { url, size = Number.POSITIVE_INFINITY } = request
  try {
    for await (const chunk of response.body) {
      if (partial.size === 0) {
        const wrong = looksWrong(chunk)
        if (wrong !== undefined)
          throw new ZooError('integrity', `${url} is ${wrong.what} instead of the file`, { hint: wrong.hint })
      }
      if (partial.size + chunk.byteLength > size)
        throw new ZooError('integrity', `${url} has more than the ${size} bytes that it should have`)
      await partial.append(chunk)
      request.onBytes?.(chunk.byteLength)
    }
  } catch (error) {
    request.signal?.throwIfAborted()
    if (error instanceof ZooError || isFileSystemError(error)) throw error
    throw new Unreachable(`${url}: ${reason(error)} after ${partial.size} bytes`, { cause: error })
  }
  if (partial.size < size && size !== Number.POSITIVE_INFINITY)
    throw new Unreachable(`${url}: the connection broke after ${partial.size} of ${size} bytes`)
}

const isFileSystemError = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'EPERM', 'EFBIG'].includes(
    (error as NodeJS.ErrnoException).code ?? '',
  )

/** Statuses after which another try may succeed. */
export const BUSY: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])

/** The error that a refused request means. */
export async function refuse(response: HttpResponse, url: string): Promise<never> {
  const { status } = response
  await response.body.dump()
  if (BUSY.has(status))
    throw new Unreachable(`${url}: the server answers ${status}`, {
      retryAfter: retryAfter(response.headers['retry-after']),
    })
  if (status === 401 || status === 403)
    throw new ZooError('authorisation', `${url}: access denied (${status})`, {
      hint: 'zoo login HOST, or set ZOO_TOKEN',
    })
  if (status === 404 || status === 410) throw new ZooError('not-found', `${url} does not exist (${status})`)
  throw new ZooError('network', `${url}: the server answers ${status}`)
}
