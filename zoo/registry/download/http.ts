import type { Readable } from 'node:stream'
import { EnvHttpProxyAgent, request } from 'undici'
import { ZooError } from '../../../manifests/error.ts'
import type { Settings } from '../settings.ts'
import { Unreachable } from './retry.ts'

export interface HttpRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  /** A function gives the bytes anew each time that they are sent: after a redirect, or once a token is there. */
  readonly body?: Uint8Array | string | (() => Readable)
  /** Milliseconds that the server may take for its answer beyond the usual. */
  readonly patience?: number
  readonly signal?: AbortSignal | undefined
}

export interface HttpResponse {
  readonly status: number
  /** Lower-case names; a repeated header's values are joined by commas. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: AsyncIterable<Uint8Array> & { text(): Promise<string>; dump(): Promise<void> }
  /** Where redirects led. */
  readonly url: string
}

const MAX_REDIRECTS = 5

/**
 * HTTP for the registry: proxies of the environment, redirects that never carry a token to another origin nor leave
 * https, and failures that say whether trying again makes sense.
 */
export class Http {
  private readonly dispatcher: EnvHttpProxyAgent
  private readonly settings: Settings

  constructor(settings: Settings) {
    this.settings = settings
    const { timeout } = settings
    this.dispatcher = new EnvHttpProxyAgent({
      connect: { timeout },
      headersTimeout: timeout,
      bodyTimeout: timeout,
    })
  }

  /**
   * @throws ZooError `offline` where the network is off, `network` for a redirect that leads nowhere;
   * Unreachable where another try may succeed
   */
  async request(url: string, options: HttpRequest = {}): Promise<HttpResponse> {
    if (this.settings.offline)
      throw new ZooError('offline', `${url} is needed, and the network is off`, {
        hint: 'run it once without --offline (or ZOO_OFFLINE)',
      })
    let target = checkedUrl(url)
    let headers = { 'user-agent': 'robust-zoo', ...options.headers }
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const response = await this.send(target, { ...options, headers })
      const location = response.headers.location
      if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined) return response
      await response.body.dump()
      const next = checkedUrl(new URL(location, target).href)
      if (target.protocol === 'https:' && next.protocol !== 'https:')
        throw new ZooError('network', `${url} redirects to ${next.href}, which is not encrypted`)
      if (next.origin !== target.origin) headers = withoutSecrets(headers)
      target = next
    }
    throw new ZooError('network', `${url} redirects more than ${MAX_REDIRECTS} times`, {
      hint: 'the server sends every request somewhere else: try another mirror or source',
    })
  }

  private async send(
    url: URL,
    { method = 'GET', headers = {}, body, patience = 0, signal }: HttpRequest,
  ): Promise<HttpResponse> {
    try {
      const response = await request(url, {
        method,
        headers,
        body: (typeof body === 'function' ? body() : body) ?? null,
        headersTimeout: this.settings.timeout + patience,
        dispatcher: this.dispatcher,
        ...(signal ? { signal } : {}),
      })
      return {
        status: response.statusCode,
        headers: Object.fromEntries(
          Object.entries(response.headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]),
        ),
        body: response.body,
        url: url.href,
      }
    } catch (error) {
      signal?.throwIfAborted()
      // The body could not be read, on this side.
      if (error instanceof ZooError) throw error
      throw new Unreachable(`${url.origin}: ${reason(error)}`, { cause: error })
    }
  }

  close(): Promise<void> {
    return this.dispatcher.close()
  }
}

/** What went wrong on the wire, in words. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  const known: Record<string, string> = {
    ENOTFOUND: 'there is no such host',
    EAI_AGAIN: 'the name could not be looked up',
    ECONNREFUSED: 'nothing answers there',
    ECONNRESET: 'the connection broke',
    UND_ERR_SOCKET: 'the connection broke',
    UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
    UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
    UND_ERR_BODY_TIMEOUT: 'the transfer stalled',
    UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the connection broke',
  }
  return known[code ?? ''] ?? message
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

/** Unencrypted HTTP is for this machine only, as container tools have it. */
function checkedUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.test(url.hostname))) return url
  throw new ZooError('usage', `${text} is not an https URL`)
}

function withoutSecrets<T extends Readonly<Record<string, string>>>(headers: T): T {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !['authorization', 'cookie'].includes(name.toLowerCase())),
  ) as T
}
