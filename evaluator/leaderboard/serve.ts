import { createReadStream } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, sep } from 'node:path'
import { ZooError } from '../../manifests/error.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
}

/**
 * Serves a built board on the loopback interface, for looking at it; the pages need no server and can as well be
 * opened from disk or hosted anywhere.
 *
 * @param port 0 takes a free one
 * @throws ZooError `not-found` when there is no board in the folder, `conflict` when the port is taken
 */
export async function serveBoard(folder: string, port: number): Promise<{ server: Server; url: string }> {
  const root = await realpath(folder).catch(() => {
    throw new ZooError('not-found', `${folder} does not exist`, {
      hint: 'build a board first: zoo leaderboard build LEDGER... --out DIR',
    })
  })
  if (!(await fileAt(root, '/')))
    throw new ZooError('not-found', `${folder} holds no board: index.html is missing`, {
      hint: 'build one first: zoo leaderboard build LEDGER... --out DIR',
    })
  const server = createServer((request, response) => void answer(root, request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new ZooError('conflict', `port ${port} is taken`, {
              hint: 'choose another with --port, or 0 for a free one',
            })
          : error,
      ),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end()
    return
  }
  const file = await fileAt(root, request.url ?? '/')
  if (!file) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('No such page.\n')
    return
  }
  response.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-cache',
  })
  if (request.method === 'HEAD') response.end()
  else createReadStream(file).pipe(response)
}

/** The file that an address names, if it lies inside the folder once every link and `..` is resolved. */
async function fileAt(root: string, url: string): Promise<string | undefined> {
  try {
    const path = decodeURIComponent(new URL(url, 'http://board').pathname)
    const file = await realpath(join(root, path.endsWith('/') ? `${path}index.html` : path))
    return file.startsWith(root + sep) && (await stat(file)).isFile() ? file : undefined
  } catch {
    return undefined
  }
}
