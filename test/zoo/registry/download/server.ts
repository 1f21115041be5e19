import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { afterAll } from 'vitest'

export type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void

const running: Server[] = []
afterAll(() => {
  for (const server of running) {
    server.closeAllConnections()
    server.close()
  }
})

export interface TestServer {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string
  /** Requests so far, oldest first. */
  readonly requests: {
    readonly method: string
    readonly url: string
    readonly headers: IncomingMessage['headers']
  }[]
}

/** A server on loopback that does to every request what `handler` says; `count` begins at 1. */
export async function serve(handler: Handler): Promise<TestServer> {
  const requests: TestServer['requests'] = []
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    requests.push({ method, url, headers })
    handler(request, response, requests.length)
  })
  running.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { origin: `http://127.0.0.1:${(server.address() as { port: number }).port}`, requests }
}

/** What a well-behaved server answers, ranges and If-Range included. */
export function answer(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Buffer,
  etag = '"v1"',
): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? Number.NaN)
  const ifRange = request.headers['if-range']
  response.setHeader('etag', etag)
  response.setHeader('accept-ranges', 'bytes')
  if (Number.isNaN(from) || (ifRange !== undefined && ifRange !== etag)) {
    response.setHeader('content-length', bytes.length)
    response.end(bytes)
    return
  }
  if (from >= bytes.length) {
    response.statusCode = 416
    response.setHeader('content-range', `bytes */${bytes.length}`)
    response.end()
    return
  }
  response.statusCode = 206
  response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`)
  response.setHeader('content-length', bytes.length - from)
  response.end(bytes.subarray(from))
}

/** Sends the first bytes of a whole answer and then closes the connection (`cut`) or falls silent (`stall`). */
export function breakOff(
  response: ServerResponse,
  bytes: Buffer,
  after: number,
  how: 'cut' | 'stall',
  etag = '"v1"',
): void {
  response.setHeader('etag', etag)
  response.setHeader('content-length', bytes.length)
  response.write(bytes.subarray(0, after), () => {
    // Late enough for the client to have read it all: a broken connection takes unread bytes along.
    if (how === 'cut') setTimeout(() => response.socket?.end(), 250)
  })
}
