import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Connection } from '../../../../zoo/registry/oci/connection.ts'
import type { Content } from '../../../../zoo/registry/oci/registry.ts'
import { upload } from '../../../../zoo/registry/oci/upload.ts'
import { noise, sha256, temporaryFolder, testClient } from '../help.ts'
import { serveUploads, type UploadCall } from './upload-server.ts'

const KB = 1 << 10
/** Three pieces. */
const LARGE = noise(400 * KB)
const SMALL = noise(50_000)

/** What becomes of an upload to a registry that behaves like this. */
async function to(
  misbehave: (call: UploadCall) => void,
  bytes: Buffer = LARGE,
  { retries = 2, content = bytes as Content, timeout = 30_000, piece = 160 * KB } = {},
) {
  const server = await serveUploads(misbehave)
  const client = testClient({ timeout })
  const descriptor = { mediaType: 'x', digest: `sha256:${sha256(bytes)}`, size: bytes.length }
  const outcome = await upload(new Connection(client, server.host), {
    ...{ repository: 'net', descriptor, content, retries, piece },
  }).then(
    (sent) => ({ sent, error: undefined }),
    (error: Error & { code?: string }) => ({ sent: undefined, error }),
  )
  return {
    ...outcome,
    arrived: server.blobs.get(descriptor.digest)?.equals(bytes) === true,
    count: (method: string) => server.requests.filter((request) => request.method === method).length,
    ranges: server.requests.flatMap(({ headers }) => headers['content-range'] ?? []),
  }
}

const range = (from: number, end: number): string => `${from}-${end - 1}`
const [FIRST, SECOND, THIRD] = [
  range(0, 160 * KB),
  range(160 * KB, 320 * KB),
  range(320 * KB, 400 * KB),
] as const

describe('an upload', () => {
  it('sends a large blob in chunks', async () => {
    const { sent, arrived, ranges } = await to((call) => call.behave())
    expect({ sent, arrived, ranges }).toEqual({ sent: true, arrived: true, ranges: [FIRST, SECOND, THIRD] })
  })

  it('sends a small blob at once, and again where that broke off', async () => {
    const { sent, arrived, count } = await to(
      (call) => (call.method === 'PUT' && call.count === 1 ? call.breakAfter(20_000) : call.behave()),
      SMALL,
    )
    expect({ sent, arrived }).toEqual({ sent: true, arrived: true })
    expect([count('POST'), count('PATCH'), count('PUT')]).toEqual([2, 0, 2])
  })

  it('goes on where the registry says that a chunk broke off', async () => {
    const { arrived, ranges, count } = await to((call) =>
      call.method === 'PATCH' && call.count === 2 ? call.breakAfter(50 * KB) : call.behave(),
    )
    expect(arrived).toBe(true)
    expect(count('POST')).toBe(1)
    expect(ranges).toEqual([FIRST, SECOND, range(210 * KB, 370 * KB), range(370 * KB, 400 * KB)])
  })

  it('begins anew where nothing arrived, which a registry cannot tell from one byte', async () => {
    const { arrived, ranges, count } = await to((call) =>
      call.method === 'PATCH' && call.count === 1 ? call.breakAfter(0) : call.behave(),
    )
    expect(arrived).toBe(true)
    expect(count('POST')).toBe(2)
    expect(ranges).toEqual([FIRST, FIRST, SECOND, THIRD])
  })

  for (const status of [404, 416, 400])
    it(`begins anew where the registry has given the session up (status ${status})`, async () => {
      const { arrived, ranges, count } = await to((call) => {
        if (call.method === 'PATCH' && call.count === 2) return call.breakAfter(50 * KB)
        if (call.method !== 'GET') return call.behave()
        call.forget()
        call.refuse(status)
      })
      expect(arrived).toBe(true)
      expect(count('POST')).toBe(2)
      expect(ranges).toEqual([FIRST, SECOND, FIRST, SECOND, THIRD])
    })

  it('begins anew where a chunk finds no session', async () => {
    const { arrived, ranges } = await to((call) => {
      if (call.method === 'PATCH' && call.count === 3) call.forget()
      call.behave()
    })
    expect(arrived).toBe(true)
    expect(ranges).toEqual([FIRST, SECOND, THIRD, FIRST, SECOND, THIRD])
  })

  it('is given up where every session is forgotten, though each receives a chunk', async () => {
    const { error, arrived, count } = await to((call) => {
      if (call.method === 'PATCH' && call.received!.length > 0) call.forget()
      call.behave()
    })
    expect(error).toMatchObject({ code: 'network', message: expect.stringContaining('forgotten the upload') })
    expect(arrived).toBe(false)
    // The first session got further than nothing, so the count of failures began with it.
    expect(count('POST')).toBe(3)
  })

  it('asks again where the registry is still writing what broke off', async () => {
    const { arrived, ranges, count } = await to((call) => {
      if (call.method === 'PATCH' && call.count === 2) return call.breakAfter(50 * KB)
      if (call.method !== 'GET' || call.count > 1) return call.behave()
      // Not yet at what it will have received by the time that the next chunk comes.
      call.refuse(204, { range: `0-${180 * KB - 1}` })
    })
    expect(arrived).toBe(true)
    expect(count('POST')).toBe(1)
    expect(ranges).toEqual([
      FIRST,
      SECOND,
      range(180 * KB, 340 * KB),
      range(210 * KB, 370 * KB),
      range(370 * KB, 400 * KB),
    ])
  })

  it('begins anew where the registry joined the parts wrongly', async () => {
    const { arrived, count } = await to((call) => {
      if (call.method === 'PATCH' && call.count === 1) return call.breakAfter(50 * KB)
      if (call.method === 'GET') return call.refuse(204, { range: `0-${40 * KB - 1}` })
      call.behave({ ignoreRange: true })
    })
    expect(arrived).toBe(true)
    expect([count('POST'), count('PUT')]).toEqual([2, 2])
  })

  it('does not send again what arrived though its answer did not', async () => {
    const { sent, arrived, count } = await to((call) => {
      if (call.method !== 'PUT') return call.behave()
      const { socket } = call.response
      call.response.end = (() => socket?.destroy()) as never
      call.behave()
    })
    expect({ sent, arrived }).toEqual({ sent: true, arrived: true })
    expect([count('POST'), count('PUT')]).toEqual([1, 1])
  })

  it('waits as long as a busy registry asks', async () => {
    const begun = Date.now()
    const { arrived } = await to((call) => {
      if (call.method === 'PATCH' && call.count === 2) call.refuse(503, { 'retry-after': '2' })
      else call.behave()
    })
    expect(arrived).toBe(true)
    expect(Date.now() - begun).toBeGreaterThanOrEqual(2000)
  })

  it('is not a stall where the line is slow and bytes go on', async () => {
    const { sent, count } = await to(
      (call) => call.behave(call.method === 'PATCH' && call.count === 1 ? { pause: 400 } : {}),
      noise(40 << 20),
      { timeout: 1500, piece: 16 << 20 },
    )
    expect(sent).toBe(true)
    expect(count('PATCH')).toBe(3)
  })

  it('ends where its file changes meanwhile', async () => {
    const path = join(temporaryFolder(), 'model.onnx')
    writeFileSync(path, SMALL)
    truncateSync(path, 40_000)
    const { error, arrived } = await to((call) => call.behave(), SMALL, { content: { path } })
    expect(error).toMatchObject({ code: 'integrity', message: expect.stringContaining('changed while') })
    expect(arrived).toBe(false)
  })

  it('is not repeated where the registry refuses the digest of an unbroken one', async () => {
    const { error, count } = await to((call) => call.behave(), SMALL, { content: noise(50_000, 2) })
    expect(error).toMatchObject({ code: 'integrity' })
    expect(count('PUT')).toBe(1)
  })
})
