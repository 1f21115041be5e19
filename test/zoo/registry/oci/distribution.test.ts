import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { credential, storeCredential } from '../../../../zoo/registry/oci/credentials.ts'
import { DistributionRegistry } from '../../../../zoo/registry/oci/distribution.ts'
import { pullModel } from '../../../../zoo/registry/pull.ts'
import { pushModel } from '../../../../zoo/registry/push.ts'
import {
  hasRegistry,
  needsRegistry,
  PASSWORD,
  type RegistryServer,
  startRegistry,
  USER,
} from '../docker-registry.ts'
import { answer, serve } from '../download/server.ts'
import { makeModel, noise, sha256, type TestClient, temporaryFolder, testClient } from '../help.ts'
import { registrySuite } from './registry.suite.ts'

afterEach(() => vi.unstubAllEnvs())

describe.skipIf(!hasRegistry)(`against docker-registry${needsRegistry}`, () => {
  let server: RegistryServer
  beforeAll(async () => {
    server = await startRegistry()
  })

  registrySuite(async () => new DistributionRegistry(testClient(), `${server.host}/suite`))

  it('publishes a model and gets it back, byte for byte, and offline after that', async () => {
    const { folder, manifest } = makeModel('round-trip')
    const registry = (client = testClient()) => new DistributionRegistry(client, `${server.host}/zoo`)
    const pushed = await pushModel(testClient(), folder, { registry: registry(), tags: ['stable'] })
    expect(pushed.tags).toEqual(['1.0.0', 'latest', 'stable'])
    const client = testClient()
    const reference = { name: 'round-trip', tag: 'stable', digest: undefined }
    const pulled = await pullModel(client, reference, [registry(client)])
    expect(pulled).toMatchObject({ digest: pushed.digest, sha256: manifest.files[0]!.sha256, cached: false })
    const offline = testClient({ offline: true }, join(client.settings.cache, '..'))
    expect(await pullModel(offline, reference, [registry(offline)])).toMatchObject({ cached: true })
    const elsewhere = testClient({ offline: true })
    await expect(pullModel(elsewhere, reference, [registry(elsewhere)])).rejects.toMatchObject({
      code: 'offline',
    })
  })

  it('uploads a large blob in pieces and skips it the second time', async () => {
    const weights = noise(40 << 20)
    const { folder } = makeModel('large', { files: { 'model.onnx': weights } })
    const registry = () => new DistributionRegistry(testClient(), `${server.host}/zoo`)
    const first = await pushModel(testClient(), folder, { registry: registry() })
    expect(first.sent).toBeGreaterThan(weights.length)
    expect((await pushModel(testClient(), folder, { registry: registry() })).sent).toBe(0)
    const client = testClient()
    const found = await pullModel(client, { name: 'large', tag: 'latest', digest: undefined }, [
      new DistributionRegistry(client, `${server.host}/zoo`),
    ])
    expect(found.sha256).toBe(sha256(weights))
  }, 60_000)

  it('lets the registry take a blob from another repository of its own', async () => {
    const files = { 'model.onnx': noise(50_000, 77) }
    const client = testClient()
    const registry = new DistributionRegistry(client, `${server.host}/mounts`)
    await pushModel(client, makeModel('first-home', { files }).folder, { registry })
    const second = await pushModel(client, makeModel('second-home', { files }).folder, { registry })
    expect(second.sent).toBeLessThan(50_000)
    expect(second.sent).toBeGreaterThan(0)
  })

  it('takes what a mirror has right, in the order of mirrors, and the rest from the registry', async () => {
    const { folder, manifest } = makeModel('mirrored', { seed: 31 })
    const weights = manifest.files[0]!
    const registry = (client: TestClient) => new DistributionRegistry(client, `${server.host}/zoo`)
    await pushModel(testClient(), folder, { registry: registry(testClient()) })
    const wrong = await serve((_, response) => response.end(noise(weights.size, 99)))
    const right = await serve((request, response) => {
      if (request.url === `/blobs/sha256/${weights.sha256}`)
        return answer(request, response, readFileSync(join(folder, weights.path)))
      response.writeHead(404).end()
    })
    const mirrors = [wrong.origin, right.origin]
    const client = testClient({ mirrors, concurrency: 1 })
    const reference = { name: 'mirrored', tag: 'latest', digest: undefined }
    const pulled = await pullModel(client, reference, [registry(client)])
    expect(pulled.sha256).toBe(weights.sha256)
    expect(right.requests.map(({ url }) => url)).toContain(`/blobs/sha256/${weights.sha256}`)
    const folders = testClient({ mirrors: [client.settings.cache] })
    expect(await pullModel(folders, reference, [registry(folders)])).toMatchObject({ cached: false })
    expect(folders.notes.filter((note) => note.includes('no mirror'))).toEqual([])
  })

  it('never lets a published version change, unless forced', async () => {
    const registry = new DistributionRegistry(testClient(), `${server.host}/zoo`)
    await pushModel(testClient(), makeModel('fixed', { seed: 1 }).folder, { registry })
    const other = makeModel('fixed', { seed: 2 }).folder
    await expect(pushModel(testClient(), other, { registry })).rejects.toMatchObject({ code: 'conflict' })
    const forced = await pushModel(testClient(), other, { registry, force: true })
    expect((await registry.resolve({ name: 'fixed', tag: '1.0.0', digest: undefined }))?.digest).toBe(
      forced.digest,
    )
  })

  it('says which registry does not have a model, and what it has', async () => {
    const client = testClient()
    const registry = new DistributionRegistry(client, `${server.host}/zoo`)
    await pushModel(client, makeModel('present').folder, { registry })
    const absent = pullModel(client, { name: 'absent', tag: 'latest', digest: undefined }, [registry])
    await expect(absent).rejects.toMatchObject({
      code: 'not-found',
      hint: expect.stringContaining('present'),
    })
  })
})

describe.skipIf(!hasRegistry)(`a registry that wants a password${needsRegistry}`, () => {
  let server: RegistryServer
  beforeAll(async () => {
    server = await startRegistry('basic')
  })
  const push = (client = testClient()) =>
    pushModel(client, makeModel('secret').folder, { registry: new DistributionRegistry(client, server.host) })

  it('sends us away without one, and says how to log in', async () => {
    await expect(push()).rejects.toMatchObject({ code: 'authorisation', hint: `zoo login ${server.host}` })
  })

  it('takes what zoo login stored, and not a wrong one', async () => {
    const client = testClient()
    await storeCredential(client.settings, server.host, credential('wrong', USER))
    await expect(push(client)).rejects.toMatchObject({ code: 'authorisation' })
    await storeCredential(client.settings, server.host, credential(PASSWORD, USER))
    expect(await push(client)).toMatchObject({ name: 'secret' })
  })

  it('takes ZOO_TOKEN for the endpoint and for no other host', async () => {
    vi.stubEnv('ZOO_TOKEN', `${USER}:${PASSWORD}`)
    expect(await push(testClient({ endpoint: `${server.host}/zoo` }))).toMatchObject({ name: 'secret' })
    await expect(push(testClient({ endpoint: 'elsewhere.example/zoo' }))).rejects.toMatchObject({
      code: 'authorisation',
    })
  })

  it("takes Docker's own configuration, in the file and by a helper", async () => {
    const folder = temporaryFolder()
    vi.stubEnv('DOCKER_CONFIG', folder)
    const auth = Buffer.from(`${USER}:${PASSWORD}`).toString('base64')
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths: { [server.host]: { auth } } }))
    expect(await push()).toMatchObject({ name: 'secret' })
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    const answer = JSON.stringify({ ServerURL: server.host, Username: USER, Secret: PASSWORD })
    writeFileSync(
      join(bin, 'docker-credential-test'),
      `#!/bin/sh\ngrep -q ${server.host} && echo '${answer}'\n`,
    )
    chmodSync(join(bin, 'docker-credential-test'), 0o755)
    vi.stubEnv('PATH', `${bin}:${process.env.PATH}`)
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ credHelpers: { [server.host]: 'test' } }))
    expect(await push()).toMatchObject({ name: 'secret' })
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ credsStore: 'missing' }))
    await expect(push()).rejects.toMatchObject({
      code: 'authorisation',
      message: 'docker-credential-missing is not installed',
    })
  })
})

describe.skipIf(!hasRegistry)(`a registry that wants a token${needsRegistry}`, () => {
  let tokens: Server
  let server: RegistryServer
  const asked: { url: string; authorization: string | undefined }[] = []
  beforeAll(async () => {
    tokens = createServer((request, response) => {
      asked.push({ url: request.url ?? '', authorization: request.headers.authorization })
      const refused = request.headers.authorization === undefined
      response.statusCode = refused ? 401 : 200
      response.end(JSON.stringify(refused ? {} : { token: 'anything', expires_in: 300 }))
    })
    await new Promise<void>((resolve) => tokens.listen(0, '127.0.0.1', resolve))
    const { port } = tokens.address() as { port: number }
    server = await startRegistry({ realm: `http://127.0.0.1:${port}/token` })
  })
  afterAll(() => {
    tokens.close()
  })

  it('gets one where the challenge says, for the scope that it names', async () => {
    const client = testClient()
    await storeCredential(client.settings, server.host, credential('hush', 'me'))
    const registry = new DistributionRegistry(client, `${server.host}/zoo`)
    await pushModel(client, makeModel('token-net').folder, { registry })
    const { pathname, searchParams } = new URL(asked[0]!.url, 'http://x')
    expect(pathname).toBe('/token')
    expect(searchParams.get('service')).toBe('test')
    expect(searchParams.get('scope')).toMatch(/^repository:zoo\/token-net:/)
    expect(asked[0]!.authorization).toBe(`Basic ${Buffer.from('me:hush').toString('base64')}`)
  })

  it('says how to log in where the token is refused', async () => {
    const client = testClient()
    const registry = new DistributionRegistry(client, `${server.host}/zoo`)
    await expect(registry.resolve({ name: 'x', tag: 'latest', digest: undefined })).rejects.toMatchObject({
      ...{ code: 'authorisation', hint: `zoo login ${server.host}` },
    })
  })
})
