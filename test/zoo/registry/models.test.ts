import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { LayoutRegistry } from '../../../zoo/registry/oci/layout.ts'
import { prune } from '../../../zoo/registry/prune.ts'
import { pullModel } from '../../../zoo/registry/pull.ts'
import { pushModel } from '../../../zoo/registry/push.ts'
import { parseModelSpec } from '../../../zoo/registry/reference.ts'
import { resolveModel } from '../../../zoo/registry/resolve.ts'
import { blobPath } from '../../../zoo/registry/store/blobs.ts'
import { filesBelow, verifyModel } from '../../../zoo/registry/verify.ts'
import { answer, serve } from './download/server.ts'
import { makeModel, noise, sha256, temporaryFolder, testClient } from './help.ts'

const latest = (name: string) => ({ name, tag: 'latest', digest: undefined })

/** Changes one bit of a file, read-only or not. */
function flip(path: string): void {
  const bytes = readFileSync(path)
  bytes[bytes.length >> 1]! ^= 1
  chmodSync(path, 0o644)
  writeFileSync(path, bytes)
}

describe('MODEL', () => {
  const digest = `sha256:${sha256('x')}`
  it.each([
    [
      'resnet638-advbn',
      { kind: 'name', reference: { name: 'resnet638-advbn', tag: 'latest', digest: undefined } },
    ],
    ['net@1.0.0', { kind: 'name', reference: { name: 'net', tag: '1.0.0', digest: undefined } }],
    [`net@${digest}`, { kind: 'name', reference: { name: 'net', digest } }],
    ['./net.onnx', { kind: 'path', path: './net.onnx' }],
    ['net.onnx', { kind: 'path', path: 'net.onnx' }],
    [
      'https://a.example/net.onnx',
      { kind: 'source', source: 'https://a.example/net.onnx', sha256: undefined },
    ],
    [`https://a.example/net.onnx#sha256=${sha256('x')}`, { kind: 'source', sha256: sha256('x') }],
    ['hf:owner/net@main/model.onnx', { kind: 'source', source: 'hf:owner/net@main/model.onnx' }],
    [
      'oci://r.example:5000/a/b/net@1.0',
      { kind: 'oci', endpoint: 'r.example:5000/a/b', reference: { name: 'net' } },
    ],
    ['oci://r.example:5000/net:1.0', { kind: 'oci', endpoint: 'r.example:5000', reference: { tag: '1.0' } }],
  ])('%s', (text, expected) => {
    expect(parseModelSpec(text)).toMatchObject(expected)
  })

  it.each(['Net', 'net@', 'net@sha256:123', 'a b', ''])('%j is refused', (text) => {
    expect(() => parseModelSpec(text)).toThrow(expect.objectContaining({ code: 'usage' }))
  })
})

describe('publishing', () => {
  it('and pulling gives the same folder, when the original is gone', async () => {
    const client = testClient()
    const { folder, manifest } = makeModel('net')
    const pushed = await pushModel(client, folder)
    rmSync(folder, { recursive: true })
    const pulled = await pullModel(client, latest('net'))
    expect(pulled).toMatchObject({ digest: pushed.digest, manifest, cached: false })
    expect((await filesBelow(pulled.folder)).sort()).toEqual(
      ['README.md', 'manifest.json', 'model.onnx', 'reports/parity.json'].sort(),
    )
    for (const { path, sha256: digest } of manifest.files)
      expect(sha256(readFileSync(join(pulled.folder, path)))).toBe(digest)
    expect((await pullModel(client, latest('net'))).cached).toBe(true)
  })

  it('gives the same digest wherever the same model is packed', async () => {
    const digests = []
    for (const client of [testClient(), testClient()])
      digests.push((await pushModel(client, makeModel('net').folder)).digest)
    expect(digests[0]).toBe(digests[1])
  })

  it('takes an .onnx file with its manifest beside it', async () => {
    const { folder, manifest } = makeModel('beside', { files: { 'net.onnx': noise(100) } })
    writeFileSync(join(folder, 'net.manifest.json'), readFileSync(join(folder, 'manifest.json')))
    rmSync(join(folder, 'manifest.json'))
    const pushed = await pushModel(testClient(), join(folder, 'net.onnx'))
    expect(pushed.sha256).toBe(manifest.files[0]!.sha256)
  })

  it('refuses a file that is not what the manifest says', async () => {
    const { folder } = makeModel('net')
    flip(join(folder, 'model.onnx'))
    await expect(pushModel(testClient(), folder)).rejects.toMatchObject({ code: 'integrity' })
  })

  it('refuses a manifest with faults, and tells them all', async () => {
    const { folder, manifest } = makeModel('net')
    writeFileSync(
      join(folder, 'manifest.json'),
      JSON.stringify({ ...manifest, version: 'a b', parameters: -1 }),
    )
    await expect(pushModel(testClient(), folder)).rejects.toMatchObject({
      ...{
        code: 'invalid-manifest',
        message: expect.stringMatching(/version[\s\S]*parameters|parameters[\s\S]*version/),
      },
    })
  })

  it.each([[['model.onnx', 'Model.ONNX']], [['model.onnx', 'manifest.json']]])(
    'refuses files that would get in one another’s way: %j',
    async (paths) => {
      const { folder, manifest } = makeModel('net')
      const files = paths.map((path) => ({ ...manifest.files[0]!, path }))
      writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, files }))
      await expect(pushModel(testClient(), folder)).rejects.toMatchObject({ code: 'invalid-manifest' })
    },
  )

  it('copies a model with external data, which tools refuse with hard links', async () => {
    const client = testClient()
    await pushModel(client, makeModel('one', { files: { 'm.onnx': noise(100, 1) } }).folder)
    await pushModel(
      client,
      makeModel('two', { files: { 'm.onnx': noise(100, 2), 'm.data': noise(900) } }).folder,
    )
    const two = await pullModel(client, latest('two'))
    expect(statSync(join(two.folder, 'm.data')).nlink).toBe(1)
    expect(statSync(two.path).nlink).toBe(1)
  })

  it('from many at once keeps every model', async () => {
    const client = testClient()
    const names = Array.from({ length: 8 }, (_, i) => `net-${i}`)
    await Promise.all(names.map((name, seed) => pushModel(client, makeModel(name, { seed }).folder)))
    const listed = await new LayoutRegistry(client.settings.registry).list()
    expect(listed).toEqual(names.map((name) => ({ name, tags: ['1.0.0', 'latest'] })))
  })
})

describe('a flipped bit', () => {
  it('in the pulled folder is found and repaired by the next pull', async () => {
    const client = testClient()
    await pushModel(client, makeModel('net').folder)
    const { path, sha256: digest, folder } = await pullModel(client, latest('net'))
    // The registry shares the bytes by a hard link, so the folder gets a file of its own first.
    const bytes = readFileSync(path)
    rmSync(path)
    writeFileSync(path, bytes)
    flip(path)
    expect((await verifyModel(client, latest('net'), { deep: false })).altered).toEqual([])
    expect((await verifyModel(client, latest('net'), { deep: true })).altered).toEqual(['model.onnx'])
    writeFileSync(join(folder, 'stray'), '')
    rmSync(join(folder, 'README.md'))
    expect(await verifyModel(client, latest('net'), { deep: true })).toMatchObject({
      ...{ missing: ['README.md'], altered: ['model.onnx'], extra: ['stray'] },
    })
    const repaired = await pullModel(client, latest('net'))
    expect(sha256(readFileSync(repaired.path))).toBe(digest)
    expect(await verifyModel(client, latest('net'), { deep: true })).toMatchObject({
      ...{ missing: [], altered: [], extra: [] },
    })
  })

  it('in the registry itself is an error that says what to do', async () => {
    const client = testClient()
    const { manifest } = await pushModel(client, makeModel('net').folder).then(() => makeModel('net'))
    flip(blobPath(client.settings.registry, manifest.files[0]!.sha256))
    await expect(pullModel(client, latest('net'))).rejects.toMatchObject({
      ...{ code: 'integrity', hint: expect.stringContaining('zoo push') },
    })
    expect(await filesBelow(join(client.settings.cache, 'models'))).toEqual([])
  })
})

describe('a registry that gives another model than it was asked for', () => {
  it('is not believed', async () => {
    const client = testClient()
    await pushModel(client, makeModel('small').folder)
    const index = join(client.settings.registry, 'index.json')
    writeFileSync(index, readFileSync(index, 'utf8').replaceAll('small:', 'large:'))
    await expect(pullModel(client, latest('large'))).rejects.toMatchObject({
      ...{ code: 'integrity', message: expect.stringContaining('gives small when asked for large') },
    })
  })
})

describe('resolving', () => {
  it('finds a model by path, with its manifest where there is one', async () => {
    const { folder, manifest } = makeModel('net')
    const expected = { path: join(folder, 'model.onnx'), manifest, sha256: manifest.files[0]!.sha256 }
    expect(await resolveModel(folder, testClient())).toEqual(expected)
    expect(await resolveModel(join(folder, 'manifest.json'), testClient())).toEqual(expected)
    expect(await resolveModel(join(folder, 'model.onnx'), testClient())).toEqual(expected)
    const bare = join(temporaryFolder(), 'bare.onnx')
    writeFileSync(bare, 'weights')
    expect(await resolveModel(bare, testClient())).toEqual({ path: bare, sha256: sha256('weights') })
  })

  it('does not overlook that the file is another one than the manifest describes', async () => {
    const { folder } = makeModel('net')
    flip(join(folder, 'model.onnx'))
    for (const place of [folder, join(folder, 'model.onnx')])
      await expect(resolveModel(place, testClient())).rejects.toMatchObject({ code: 'integrity' })
  })

  it('fetches a single file by URL, and tells how to pin it', async () => {
    const bytes = noise(5000)
    const server = await serve((request, response) => answer(request, response, bytes))
    const client = testClient()
    const url = `${server.origin}/nets/net.onnx`
    const found = await resolveModel(url, client)
    expect(readFileSync(found.path)).toEqual(bytes)
    expect(found.path).toMatch(/net\.onnx$/)
    expect(client.notes[0]).toContain(`${url}#sha256=${sha256(bytes)}`)
    const pinned = testClient()
    expect((await resolveModel(`${url}#sha256=${sha256(bytes)}`, pinned)).sha256).toBe(sha256(bytes))
    expect(pinned.notes).toEqual([])
    await expect(resolveModel(`${url}#sha256=${sha256('')}`, testClient())).rejects.toMatchObject({
      code: 'integrity',
    })
    await expect(resolveModel(`${server.origin}/page`, testClient())).rejects.toMatchObject({ code: 'usage' })
  })

  it('fetches a model by its manifest, from beside it or from where it names', async () => {
    const { folder, manifest } = makeModel('net')
    const named = { ...manifest, sources: [`file:${folder}`] }
    const server = await serve((request, response) => {
      if (request.url === '/net/manifest.json') return response.end(JSON.stringify(manifest))
      if (request.url === '/alone/manifest.json') return response.end(JSON.stringify(named))
      const path = request.url?.startsWith('/net/') ? request.url.slice('/net/'.length) : undefined
      if (path !== undefined) return answer(request, response, readFileSync(join(folder, path)))
      response.statusCode = 404
      response.end()
    })
    for (const place of ['net', 'alone']) {
      const found = await resolveModel(`${server.origin}/${place}/manifest.json`, testClient())
      expect(found.sha256).toBe(manifest.files[0]!.sha256)
      expect(readFileSync(join(dirname(found.path), 'reports/parity.json'), 'utf8')).toContain('largest')
    }
    expect(server.requests.filter(({ url }) => url?.startsWith('/alone/'))).toHaveLength(4)
  })

  it('says what there is when a name is unknown', async () => {
    const client = testClient()
    await expect(resolveModel('nothing', client)).rejects.toMatchObject({ code: 'not-found' })
    await pushModel(client, makeModel('something').folder)
    await expect(resolveModel('nothing', client)).rejects.toMatchObject({
      hint: expect.stringContaining('something'),
    })
    await expect(resolveModel('something@9', client)).rejects.toMatchObject({
      hint: expect.stringContaining('something@1.0.0'),
    })
    await expect(resolveModel('./nothing.onnx', client)).rejects.toMatchObject({ code: 'not-found' })
  })
})

describe('pruning', () => {
  const DAY = 24 * 3_600_000
  const age = (path: string): void => {
    const old = new Date(Date.now() - 2 * DAY)
    utimesSync(path, old, old)
  }

  it('keeps what something leads to and removes the rest, once it is old', async () => {
    const client = testClient()
    const { cache } = client.settings
    await pushModel(client, makeModel('kept').folder)
    const { folder } = await pullModel(client, latest('kept'))
    const orphan = blobPath(cache, sha256('orphan'))
    writeFileSync(orphan, 'orphan')
    const gone = join(cache, 'models', 'gone', '0123456789abcdef')
    mkdirSync(gone, { recursive: true })
    writeFileSync(join(gone, 'model.onnx'), 'x')
    mkdirSync(join(cache, 'partial'), { recursive: true })
    writeFileSync(join(cache, 'partial', `key.elsewhere.1.id`), 'half')
    expect((await prune(client, { grace: DAY, dryRun: false })).removed).toEqual([])
    const plan = await prune(client, { grace: 0, dryRun: true })
    expect(plan.removed).toEqual([gone, orphan, join(cache, 'partial', 'key.elsewhere.1.id')])
    expect(plan.bytes).toBe('orphan'.length + 1 + 'half'.length)
    expect(existsSync(orphan)).toBe(true)
    await prune(client, { grace: 0, dryRun: false })
    for (const path of plan.removed) expect(existsSync(path)).toBe(false)
    expect((await verifyModel(client, latest('kept'), { deep: true })).missing).toEqual([])
    expect(existsSync(folder)).toBe(true)
  })

  it('leaves what a living process is writing', async () => {
    const client = testClient()
    const tmp = join(client.settings.cache, 'tmp')
    mkdirSync(tmp, { recursive: true })
    for (const name of [`${process.pid}-mine`, '999999999-dead']) {
      writeFileSync(join(tmp, name), 'x')
      age(join(tmp, name))
    }
    await prune(client, { grace: 0, dryRun: false })
    expect(readdirSync(tmp)).toEqual([`${process.pid}-mine`])
  })

  it('during a pull takes nothing away from it', async () => {
    const client = testClient()
    await pushModel(
      client,
      makeModel('busy', { files: { 'm.onnx': noise(2_000_000), 'card.md': '#' } }).folder,
    )
    let pruning = true
    const sweeper = (async () => {
      while (pruning) await prune(client, { grace: 10_000, dryRun: false })
    })()
    for (let i = 0; i < 5; i++) {
      const { folder, sha256: digest, path } = await pullModel(client, latest('busy'))
      expect(sha256(readFileSync(path))).toBe(digest)
      rmSync(folder, { recursive: true })
    }
    pruning = false
    await sweeper
  })
})
