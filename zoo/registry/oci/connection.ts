import { ZooError } from '../../../manifests/error.ts'
import type { Client } from '../client.ts'
import { BUSY, refuse } from '../download/download.ts'
import type { HttpRequest, HttpResponse } from '../download/http.ts'
import { retrying } from '../download/retry.ts'
import { Authoriser, parseChallenge } from './auth.ts'

export interface RegistryRequest extends HttpRequest {
  /** Statuses beside success that the caller deals with. */
  readonly expect?: readonly number[]
}

/** Requests to one registry, with its authorisation and its manner of saying what is wrong. */
export class Connection {
  readonly origin: string
  private readonly client: Client
  private readonly host: string
  /** One for each repository, since tokens are. */
  private readonly authorisers = new Map<string, Authoriser>()

  constructor(client: Client, host: string) {
    this.client = client
    this.host = host
    // Container tools speak plain HTTP to this machine's own registries, and so do we.
    this.origin = `${/^(localhost|127\.|\[::1\])/.test(host) ? 'http' : 'https'}://${host}`
  }

  /** Where a path or an address that the registry gave leads. */
  url(path: string): string {
    return new URL(path, this.origin).href
  }

  /** Authorisation for a repository's files, without waiting for another challenge. */
  headers(repository: string): Promise<Record<string, string>> {
    return this.authoriser(repository).headers()
  }

  /**
   * A request that succeeds, or answers with a status that the caller expects. It is sent again where that may help,
   * so it must mean the same the second time.
   *
   * @throws ZooError `authorisation`, `not-found`, `integrity` (digest refused), `network`
   */
  async request(repository: string, path: string, options: RegistryRequest = {}): Promise<HttpResponse> {
    return retrying(() => this.once(repository, path, options), { retries: this.client.settings.retries })
  }

  /**
   * A single try of a request.
   *
   * @throws Unreachable where another try may succeed; else as `request`
   */
  async once(repository: string, path: string, options: RegistryRequest = {}): Promise<HttpResponse> {
    const url = this.url(path)
    const response = await this.authorised(repository, url, options)
    if (response.status < 300 || options.expect?.includes(response.status)) return response
    if (response.status >= 400 && response.status < 500 && !BUSY.has(response.status))
      await this.fail(response, url)
    return refuse(response, url)
  }

  private async authorised(repository: string, url: string, options: HttpRequest): Promise<HttpResponse> {
    const authoriser = this.authoriser(repository)
    const send = async (): Promise<HttpResponse> => {
      // A registry may send uploads elsewhere; its authorisation doesn't go along.
      const own = new URL(url).origin === this.origin
      const headers = { ...options.headers, ...(own ? await authoriser.headers() : {}) }
      return this.client.http.request(url, { ...options, headers })
    }
    const response = await send()
    const challenge =
      response.status === 401 ? parseChallenge(response.headers['www-authenticate']) : undefined
    if (challenge === undefined) return response
    await response.body.dump()
    if (await authoriser.answer(challenge)) return send()
    throw new ZooError('authorisation', `${this.host} wants to know who you are`, {
      hint: `zoo login ${this.host}`,
    })
  }

  private authoriser(repository: string): Authoriser {
    const known = this.authorisers.get(repository) ?? new Authoriser(this.client, this.host)
    this.authorisers.set(repository, known)
    return known
  }

  private async fail(response: HttpResponse, url: string): Promise<never> {
    const text = await response.body.text()
    const said = /"message"\s*:\s*"([^"]*)"/.exec(text)?.[1] ?? `status ${response.status}`
    const what = `${url}: ${said}`
    if (response.status === 401 || response.status === 403)
      throw new ZooError('authorisation', what, {
        hint: `zoo login ${this.host}, with a right to this repository`,
      })
    if (response.status === 404) throw new ZooError('not-found', what)
    if (/DIGEST_INVALID|SIZE_INVALID/.test(text)) throw new ZooError('integrity', what)
    throw new ZooError('network', what)
  }
}
