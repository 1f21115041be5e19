import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Handler, serve, type TestServer } from '../download/server.ts'
import { sha256 } from '../help.ts'

export interface Manners {
  /** Appends whatever comes, wherever it says that it belongs. */
  readonly ignoreRange?: boolean
  /** Milliseconds to pause after each of the first eight megabytes. */
  readonly pause?: number
}

export interface UploadCall {
  readonly method: string
  /** Which request of this method it is, from 1. */
  readonly count: number
  readonly response: ServerResponse
  /** What the session has received; undefined where there is no such session. */
  readonly received: Buffer | undefined
  /** Takes this many bytes of the body and then breaks the connection. */
  breakAfter(bytes: number): void
  /** Takes the body, does nothing with it and answers so. */
  refuse(status: number, headers?: Readonly<Record<string, string>>): void
  /** Loses the session, as a registry does that finds it in an unexpected state. */
  forget(): void
  /** Answers as a good registry does, but for the manners given. */
  behave(manners?: Manners): void
}

export interface UploadServer extends TestServer {
  readonly host: string
  /** Complete blobs by digest. */
  readonly blobs: ReadonlyMap<string, Buffer>
}

/** The part of a registry that receives blobs, kept in memory. `misbehave` decides what becomes of each request. */
export async function serveUploads(misbehave: (call: UploadCall) => void): Promise<UploadServer> {
  const sessions = new Map<string, Buffer>()
  const blobs = new Map<string, Buffer>()
  const counts: Record<string, number> = {}
  const handler: Handler = (request, response, total) => {
    const { method = '' } = request
    counts[method] = (counts[method] ?? 0) + 1
    const url = new URL(request.url!, 'http://registry')
    const id = method === 'POST' ? `session-${total}` : url.pathname.split('/').at(-1)!
    const store = (bytes: Buffer): void => {
      sessions.set(id, Buffer.concat([sessions.get(id) ?? Buffer.alloc(0), bytes]))
    }
    misbehave({
      method,
      count: counts[method],
      response,
      received: sessions.get(id),
      breakAfter: (bytes) => {
        void body(request, bytes).then((sent) => {
          store(sent.subarray(0, bytes))
          response.socket?.destroy()
        })
      },
      refuse: (status, headers = {}) =>
        void body(request).then(() => response.writeHead(status, headers).end()),
      forget: () => sessions.delete(id),
      // A client that breaks off has its reasons.
      behave: (manners) => void behave(manners).catch(() => {}),
    })
    async function behave({ ignoreRange = false, pause = 0 }: Manners = {}): Promise<void> {
      if (method === 'HEAD') return void response.writeHead(blobs.has(id) ? 200 : 404).end()
      if (method === 'POST') sessions.set(id, Buffer.alloc(0))
      const before = sessions.get(id)
      const sent = await body(request, Number.POSITIVE_INFINITY, pause)
      if (before === undefined) return void response.writeHead(404).end()
      const from = /^(\d+)-/.exec(request.headers['content-range'] ?? '')?.[1]
      if (!ignoreRange && from !== undefined && Number(from) !== before.length)
        return void response.writeHead(416).end()
      if (sent.length > 0) store(sent)
      if (method === 'PUT') {
        const digest = url.searchParams.get('digest')!
        if (digest !== `sha256:${sha256(sessions.get(id)!)}`)
          return void response.writeHead(400).end('{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}')
        blobs.set(digest, sessions.get(id)!)
        sessions.delete(id)
        return void response.writeHead(201).end()
      }
      response.setHeader('location', `/v2/net/blobs/uploads/${id}`)
      response.setHeader('range', `0-${Math.max(0, sessions.get(id)!.length - 1)}`)
      response.writeHead(method === 'GET' ? 204 : 202).end()
    }
  }
  const server = await serve(handler)
  return { ...server, host: new URL(server.origin).host, blobs }
}

/** A request's body, or its first bytes. */
async function body(request: IncomingMessage, most = Number.POSITIVE_INFINITY, pause = 0): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    const isNextMegabyte = size >> 20 !== (size + chunk.length) >> 20
    chunks.push(chunk)
    size += chunk.length
    if (size >= most) break
    if (isNextMegabyte && size < 9 << 20) await sleep(pause)
  }
  return Buffer.concat(chunks)
}
