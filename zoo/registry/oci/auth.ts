import { z } from 'zod'
import { ZooError } from '../../../manifests/error.ts'
import type { Client } from '../client.ts'
import { credentialFor } from './credentials.ts'

/** What a registry asks for in WWW-Authenticate. */
export interface Challenge {
  readonly scheme: 'basic' | 'bearer'
  readonly parameters: Readonly<Record<string, string>>
}

/** Reads a challenge (RFC 9110, 11.6.1), bearer before basic where several are offered. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  const found = [
    ...(header ?? '').matchAll(/\b(basic|bearer)\s+((?:[\w-]+=(?:"[^"]*"|[^\s,]+)(?:,\s*)?)*)/gi),
  ]
  const challenges = found.map(([, scheme = '', text = '']): Challenge => {
    const parameters = [...text.matchAll(/([\w-]+)=(?:"([^"]*)"|([^\s,]+))/g)].map(
      ([, key = '', quoted, plain]) => [key.toLowerCase(), quoted ?? plain ?? ''],
    )
    return { scheme: scheme.toLowerCase() as Challenge['scheme'], parameters: Object.fromEntries(parameters) }
  })
  return challenges.find(({ scheme }) => scheme === 'bearer') ?? challenges[0]
}

const tokenSchema = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().optional(),
})

/** A token is renewed this long before it runs out, so that it lasts for the request it is made for. */
const MARGIN = 10_000
/** The lifetime of a token that doesn't say, from the token specification. */
const DEFAULT_LIFETIME = 60

/** The authorisation for one repository, as the registry's challenges ask for it. */
export class Authoriser {
  private challenge: Challenge | undefined
  private header: string | undefined
  private expires = 0
  private readonly client: Client
  private readonly host: string

  constructor(client: Client, host: string) {
    this.client = client
    this.host = host
  }

  /** Headers for the next request: none until the registry has asked. */
  async headers(): Promise<Record<string, string>> {
    if (this.challenge !== undefined && Date.now() > this.expires - MARGIN) await this.answer(this.challenge)
    return this.header === undefined ? {} : { authorization: this.header }
  }

  /**
   * Answers a challenge; false where nothing new can be said to it.
   *
   * @throws ZooError `authorisation` where the token server refuses
   */
  async answer(challenge: Challenge): Promise<boolean> {
    const before = this.header
    this.challenge = challenge
    if (challenge.scheme === 'bearer') await this.fetchToken(challenge)
    else await this.useBasic()
    return this.header !== undefined && this.header !== before
  }

  private async useBasic(): Promise<void> {
    const known = await credentialFor(this.client.settings, this.host)
    this.header = known && basic(known.username, known.secret)
    this.expires = Number.POSITIVE_INFINITY
  }

  /** The token flow of container registries: anonymous, by password, or by refresh token. */
  private async fetchToken({ parameters }: Challenge): Promise<void> {
    const { realm, service, scope } = parameters
    if (realm === undefined)
      throw new ZooError('authorisation', `${this.host} asks for a token and doesn't say where to get one`)
    const known = await credentialFor(this.client.settings, this.host)
    const query = new URLSearchParams({ ...(service ? { service } : {}), ...(scope ? { scope } : {}) })
    const response = known?.isIdentityToken
      ? await this.client.http.request(realm, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: `${query}&grant_type=refresh_token&client_id=robust-zoo&refresh_token=${encodeURIComponent(known.secret)}`,
        })
      : await this.client.http.request(`${realm}${realm.includes('?') ? '&' : '?'}${query}`, {
          headers: known ? { authorization: basic(known.username, known.secret) } : {},
        })
    const body = await response.body.text()
    const answer = response.status === 200 ? tokenSchema.safeParse(JSON.parse(body)) : undefined
    const token = answer?.data?.token ?? answer?.data?.access_token
    if (token === undefined)
      throw new ZooError('authorisation', `${this.host} refuses a token (${response.status})`, {
        hint: known ? `zoo login ${this.host} again` : `zoo login ${this.host}`,
      })
    this.header = `Bearer ${token}`
    this.expires = Date.now() + (answer?.data?.expires_in ?? DEFAULT_LIFETIME) * 1000
  }
}

const basic = (username: string, secret: string): string =>
  `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`
