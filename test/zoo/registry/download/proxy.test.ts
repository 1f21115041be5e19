import { createServer, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterEach, expect, it, vi } from 'vitest'
import { download } from '../../../../zoo/registry/download/download.ts'
import { noise, sha256, testClient } from '../help.ts'
import { answer, serve } from './server.ts'

afterEach(() => vi.unstubAllEnvs())

const BYTES = noise(1000)
const WANTED = { sha256: sha256(BYTES), size: BYTES.length }

/** A proxy on loopback that tunnels, and remembers where to. */
async function proxy(): Promise<{ url: string; tunnels: (string | undefined)[]; close(): void }> {
  const tunnels: (string | undefined)[] = []
  const server = createServer()
  server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    tunnels.push(request.url)
    const [host, port] = (request.url ?? '').split(':')
    const target = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      target.write(head)
      target.pipe(client)
      client.pipe(target)
    })
    for (const socket of [target, client]) socket.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return { url: `http://127.0.0.1:${port}`, tunnels, close: () => server.close() }
}

it('goes through the proxy of the environment, and past it where told', async () => {
  const server = await serve((request, response) => answer(request, response, BYTES))
  const { url, tunnels, close } = await proxy()
  vi.stubEnv('http_proxy', url)
  vi.stubEnv('no_proxy', '')
  await download(testClient(), { url: `${server.origin}/model.onnx`, ...WANTED })
  expect(tunnels).toEqual([server.origin.slice('http://'.length)])
  vi.stubEnv('no_proxy', '127.0.0.1')
  await download(testClient(), { url: `${server.origin}/model.onnx`, ...WANTED })
  expect(tunnels).toHaveLength(1)
  close()
})

it('says that a proxy does not answer', async () => {
  vi.stubEnv('http_proxy', 'http://127.0.0.1:9')
  vi.stubEnv('no_proxy', '')
  const client = testClient({ retries: 0 })
  await expect(download(client, { url: 'http://127.0.0.1:8/model.onnx', ...WANTED })).rejects.toMatchObject({
    code: 'network',
  })
})
