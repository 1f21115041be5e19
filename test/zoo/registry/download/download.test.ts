import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type DownloadRequest, download } from '../../../../zoo/registry/download/download.ts'
import { blobPath } from '../../../../zoo/registry/store/blobs.ts'
import { noise, sha256, type TestClient, testClient } from '../help.ts'
import { answer, breakOff, type Handler, serve } from './server.ts'

const BYTES = noise(300_000)
const WANTED = { sha256: sha256(BYTES), size: BYTES.length }

/** What is in the cache besides complete blobs. */
const leftovers = (client: TestClient): string[] =>
  ['partial', 'tmp', 'locks'].flatMap((folder) => {
    const path = join(client.settings.cache, folder)
    return existsSync(path) ? readdirSync(path).map((name) => `${folder}/${name}`) : []
  })

/** A download from a server that behaves like this. */
async function from(handler: Handler, request: Partial<DownloadRequest> = WANTED, client = testClient()) {
  const server = await serve(handler)
  const outcome = await download(client, { url: `${server.origin}/model.onnx`, ...request }).then(
    (path) => ({ path, error: undefined }),
    (error: Error & { code?: string; hint?: string }) => ({ path: undefined, error }),
  )
  return { ...outcome, server, client }
}

describe('a download', () => {
  it('ends in the store, complete, read-only and alone', async () => {
    const { path, client } = await from((request, response) => answer(request, response, BYTES))
    expect(path).toBe(blobPath(client.settings.cache, WANTED.sha256))
    expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
    expect(leftovers(client)).toEqual([])
  })

  it('asks nobody for what is there, whether its size is known or its digest alone', async () => {
    const { client, server } = await from((request, response) => answer(request, response, BYTES))
    await download(client, { url: `${server.origin}/model.onnx`, ...WANTED })
    await download(client, { url: `${server.origin}/model.onnx`, sha256: WANTED.sha256 })
    expect(server.requests).toHaveLength(1)
  })

  it('reports every byte once, resumed or not', async () => {
    let bytes = 0
    const onBytes = (count: number) => {
      bytes += count
    }
    await from(
      (request, response, count) =>
        count === 1 ? breakOff(response, BYTES, 100_000, 'cut') : answer(request, response, BYTES),
      { ...WANTED, onBytes },
    )
    expect(bytes).toBe(BYTES.length)
  })
})

describe('a connection that breaks', () => {
  for (const how of ['cut', 'stall'] as const)
    it(`is taken up where it was (${how})`, async () => {
      const { path, server } = await from(
        (request, response, count) =>
          count === 1 ? breakOff(response, BYTES, 100_000, how) : answer(request, response, BYTES),
        WANTED,
        testClient({ timeout: 1000 }),
      )
      expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
      expect(server.requests[1]!.headers).toMatchObject({ range: 'bytes=100000-', 'if-range': '"v1"' })
    })

  it('is given up after tries without headway, and what arrived stays for the next command', async () => {
    const client = testClient()
    const broken = await from(
      (_, response, count) => (count === 1 ? breakOff(response, BYTES, 100_000, 'cut') : response.destroy()),
      WANTED,
      client,
    )
    expect(broken.error).toMatchObject({
      code: 'network',
      hint: expect.stringContaining('what has arrived is kept'),
    })
    expect(leftovers(client).filter((name) => !name.endsWith('.etag'))).toHaveLength(1)
  })

  it('is resumed from what a dead process left', async () => {
    const client = testClient()
    leave(client, BYTES.subarray(0, 200_000), '"v1"')
    const { path, server } = await from(
      (request, response) => answer(request, response, BYTES),
      WANTED,
      client,
    )
    expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
    expect(server.requests[0]!.headers.range).toBe('bytes=200000-')
    expect(leftovers(client)).toEqual([])
  })

  it('begins again where the remainder is damaged', async () => {
    const client = testClient()
    leave(client, Buffer.alloc(200_000), '"v1"')
    const { path, server } = await from(
      (request, response) => answer(request, response, BYTES),
      WANTED,
      client,
    )
    expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
    expect(server.requests).toHaveLength(2)
    expect(leftovers(client)).toEqual([])
  })

  it('begins again where the version changed', async () => {
    const { path, server } = await from((request, response, count) =>
      count === 1
        ? breakOff(response, noise(BYTES.length, 9), 100_000, 'cut', '"old"')
        : answer(request, response, BYTES, '"new"'),
    )
    expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
    expect(server.requests[1]!.headers['if-range']).toBe('"old"')
  })

  it('begins again where the server knows no ranges', async () => {
    const { path } = await from((_, response, count) => {
      if (count === 1) breakOff(response, BYTES, 100_000, 'cut')
      else response.end(BYTES)
    })
    expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
  })

  it('begins again after 416', async () => {
    const client = testClient()
    leave(client, noise(400_000, 3), undefined)
    const { path, server } = await from(
      (request, response) => answer(request, response, BYTES),
      WANTED,
      client,
    )
    expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
    expect(server.requests.map(({ headers }) => headers.range)).toEqual(['bytes=400000-', undefined])
  })

  it('does not believe a server that sends another part', async () => {
    const { error } = await from((_, response, count) => {
      if (count === 1) return breakOff(response, BYTES, 100_000, 'cut')
      response.writeHead(206, { 'content-range': `bytes 0-${BYTES.length - 1}/${BYTES.length}` })
      response.end(BYTES)
    })
    expect(error).toMatchObject({ code: 'network', message: expect.stringContaining('another part') })
  })
})

/** A remainder of a process that is no more. */
function leave(client: TestClient, bytes: Buffer, etag: string | undefined): void {
  const folder = join(client.settings.cache, 'partial')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${WANTED.sha256}.${hostname()}.999999999.remainder`)
  writeFileSync(path, bytes)
  if (etag !== undefined) writeFileSync(`${path}.etag`, etag)
}

describe('content that is not what was asked for', () => {
  const rejected: [string, Handler, string][] = [
    ['a wrong digest at the right size', (_, response) => response.end(noise(BYTES.length, 2)), 'has sha256'],
    [
      'a shorter file',
      (_, response) => answer(_, response, BYTES.subarray(1)),
      'has 299999 bytes instead of 300000',
    ],
    [
      'more bytes than promised',
      (_, response) => void response.write(BYTES, () => response.end('more')),
      'more than',
    ],
    [
      'a web page',
      (_, response) => {
        response.setHeader('content-type', 'text/html')
        response.end('<!DOCTYPE html><html></html>')
      },
      'web page',
    ],
    [
      'a web page of the right size',
      (_, response) => response.end(Buffer.concat([Buffer.from('<html>'), BYTES]).subarray(0, BYTES.length)),
      'web page',
    ],
  ]
  for (const [what, handler, message] of rejected)
    it(`is refused: ${what}`, async () => {
      const { error, client } = await from(handler)
      expect(error).toMatchObject({ code: 'integrity', message: expect.stringContaining(message) })
      expect(leftovers(client)).toEqual([])
      expect(existsSync(blobPath(client.settings.cache, WANTED.sha256))).toBe(false)
    })

  it('is refused: a Git LFS pointer, even without a digest', async () => {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${WANTED.sha256}\nsize 300000\n`
    const { error } = await from((_, response) => response.end(pointer), {})
    expect(error).toMatchObject({ code: 'integrity', message: expect.stringContaining('Git LFS pointer') })
  })

  it('without a digest is kept under the one that it has', async () => {
    const { path, client } = await from((request, response) => answer(request, response, BYTES), {})
    expect(path).toBe(blobPath(client.settings.cache, WANTED.sha256))
  })

  it('without a digest is resumed only by a validator', async () => {
    const { path, server } = await from((request, response, count) => {
      if (count === 1) return breakOff(response, BYTES, 100_000, 'cut', 'W/"weak"')
      answer(request, response, BYTES)
    }, {})
    expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
    expect(server.requests[1]!.headers.range).toBeUndefined()
  })
})

describe('a server that is busy', () => {
  const inSeconds = (_: Date): string => '1'
  const asDate = (now: Date): string => new Date(now.getTime() + 1000).toUTCString()
  for (const [form, header] of Object.entries({ inSeconds, asDate }))
    it(`is given the time that it asks for (429, ${form})`, async () => {
      const { path } = await from((request, response, count) => {
        if (count > 1) return answer(request, response, BYTES)
        response.writeHead(429, { 'retry-after': header(new Date()) })
        response.end()
      })
      expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
    })

  it('is not waited for beyond two minutes', async () => {
    const { error, server } = await from((_, response) => {
      response.writeHead(429, { 'retry-after': '3600' })
      response.end()
    })
    expect(error).toMatchObject({ code: 'network', message: expect.stringContaining('asks to wait 3600 s') })
    expect(server.requests).toHaveLength(1)
  })

  it('is given up when it stays so (503)', async () => {
    const { error, server, client } = await from((_, response) => {
      response.statusCode = 503
      response.end()
    })
    expect(error).toMatchObject({ code: 'network', message: expect.stringContaining('503') })
    expect(server.requests).toHaveLength(1 + client.settings.retries)
    expect(leftovers(client)).toEqual([])
  })

  for (const [status, code] of [
    [401, 'authorisation'],
    [403, 'authorisation'],
    [404, 'not-found'],
    [410, 'not-found'],
    [400, 'network'],
  ] as const)
    it(`is not asked twice when it says ${status}`, async () => {
      const { error, server } = await from((_, response) => {
        response.statusCode = status
        response.end()
      })
      expect(error).toMatchObject({ code })
      expect(server.requests).toHaveLength(1)
    })
})

describe('a server that is elsewhere', () => {
  it('is followed, and the token stays behind', async () => {
    const store = await serve((request, response) => answer(request, response, BYTES))
    const headers = async () => ({ authorization: 'Bearer secret', cookie: 'a=b', 'x-own': 'kept' })
    const { path, server } = await from(
      (_, response) => {
        response.writeHead(307, { location: `${store.origin}/signed` })
        response.end()
      },
      { ...WANTED, headers },
    )
    expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
    expect(server.requests[0]!.headers.authorization).toBe('Bearer secret')
    expect(store.requests[0]!.headers).toMatchObject({ 'x-own': 'kept' })
    expect(store.requests[0]!.headers.authorization).toBeUndefined()
    expect(store.requests[0]!.headers.cookie).toBeUndefined()
  })

  it('keeps the token within its origin', async () => {
    const headers = async () => ({ authorization: 'Bearer secret' })
    const { server } = await from(
      (request, response) => {
        if (request.url === '/moved') return answer(request, response, BYTES)
        response.writeHead(302, { location: '/moved' })
        response.end()
      },
      { ...WANTED, headers },
    )
    expect(server.requests[1]).toMatchObject({ url: '/moved', headers: { authorization: 'Bearer secret' } })
  })

  it('is asked anew when a signed address has run out, from the address that was given', async () => {
    const { path, server } = await from((request, response, count) => {
      if (request.url === '/model.onnx') {
        response.writeHead(307, { location: `/signed-${count}` })
        response.end()
      } else if (count === 2) breakOff(response, BYTES, 100_000, 'cut')
      else answer(request, response, BYTES)
    })
    expect(sha256(readFileSync(path!))).toBe(WANTED.sha256)
    expect(server.requests.map(({ url }) => url)).toEqual([
      '/model.onnx',
      '/signed-1',
      '/model.onnx',
      '/signed-3',
    ])
    expect(server.requests[3]!.headers.range).toBe('bytes=100000-')
  })

  it('is given up when it goes round in circles', async () => {
    const { error, server } = await from((_, response) => {
      response.writeHead(302, { location: '/model.onnx' })
      response.end()
    })
    expect(error).toMatchObject({
      code: 'network',
      message: expect.stringContaining('redirects more than 5 times'),
    })
    expect(server.requests).toHaveLength(6)
  })

  it('is not followed to an unencrypted address of another machine', async () => {
    const { error } = await from((_, response) => {
      response.writeHead(302, { location: 'http://elsewhere.example/model.onnx' })
      response.end()
    })
    expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining('not an https URL') })
  })
})

describe('without a network', () => {
  it('nobody is asked', async () => {
    const { error, server } = await from(
      (_, response) => response.end(),
      WANTED,
      testClient({ offline: true }),
    )
    expect(error).toMatchObject({ code: 'offline' })
    expect(server.requests).toHaveLength(0)
  })

  it('a host where nothing answers is an error that says so', async () => {
    const client = testClient({ retries: 0 })
    const refused = download(client, { url: 'http://127.0.0.1:9/model.onnx', ...WANTED })
    await expect(refused).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('nothing answers there'),
    })
  })
})

describe('many downloads of one file', () => {
  it('at once make one request and one blob', async () => {
    const client = testClient()
    const server = await serve((request, response) => setTimeout(() => answer(request, response, BYTES), 100))
    const url = `${server.origin}/model.onnx`
    const paths = await Promise.all(Array.from({ length: 10 }, () => download(client, { url, ...WANTED })))
    expect(new Set(paths).size).toBe(1)
    expect(server.requests).toHaveLength(1)
    expect(leftovers(client)).toEqual([])
  })
})
