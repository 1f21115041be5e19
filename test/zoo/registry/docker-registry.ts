import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll } from 'vitest'
import { temporaryFolder } from './help.ts'

const BINARY = ['/usr/bin/docker-registry', '/usr/local/bin/registry'].find(existsSync)

/** For titles of tests that need a real registry server. */
export const needsRegistry = BINARY === undefined ? ' (skipped: docker-registry is not installed)' : ''
export const hasRegistry = BINARY !== undefined

/** For `basic`: the only user, and the password whose bcrypt hash the server has. */
export const USER = 'ali'
export const PASSWORD = 'open sesame'
const HASH = '$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW'

export interface RegistryServer {
  /** HOST:PORT */
  readonly host: string
  /** Where it keeps its blobs. */
  readonly storage: string
}

const running: ChildProcess[] = []
afterAll(() => {
  for (const child of running) child.kill()
})

/**
 * Starts a real registry server on loopback.
 *
 * @param auth none, user and password, or a bearer token from this realm (any token will do)
 */
export async function startRegistry(
  auth: 'none' | 'basic' | { readonly realm: string } = 'none',
): Promise<RegistryServer> {
  const folder = temporaryFolder()
  const storage = join(folder, 'storage')
  mkdirSync(storage)
  writeFileSync(join(folder, 'htpasswd'), `${USER}:${HASH}\n`)
  const host = `127.0.0.1:${await freePort()}`
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: { addr: host, secret: 'not one' },
    ...(auth === 'none'
      ? {}
      : auth === 'basic'
        ? { auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } } }
        : { auth: { silly: { realm: auth.realm, service: 'test' } } }),
  }
  // YAML includes JSON.
  writeFileSync(join(folder, 'config.yml'), JSON.stringify(config))
  const child = spawn(BINARY!, ['serve', join(folder, 'config.yml')], { stdio: 'ignore' })
  running.push(child)
  for (let tries = 0; tries < 200; tries++) {
    const answers = await fetch(`http://${host}/v2/`).then(
      () => true,
      () => false,
    )
    if (answers) return { host, storage }
    await sleep(50)
  }
  throw new Error('docker-registry does not start')
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve((address as { port: number }).port))
    })
  })
}
