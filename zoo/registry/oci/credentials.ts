import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { writeFileAtomic } from '../../../manifests/atomic.ts'
import { ZooError } from '../../../manifests/error.ts'
import { parseAs } from '../../../manifests/schema/parse.ts'
import type { Settings } from '../settings.ts'

/** Who we are to one registry. */
export interface Credential {
  readonly username: string
  readonly secret: string
  /** Whether the secret is a refresh token rather than a password. */
  readonly isIdentityToken?: boolean
}

/** Registries that take a token alone accept any user name with it. */
const ANY_USER = 'token'

const storedSchema = z.record(z.string(), z.strictObject({ username: z.string(), secret: z.string() }))

const storePath = (settings: Settings): string => join(settings.config, 'credentials.json')

/**
 * What to show a registry: ZOO_TOKEN if it is the endpoint of this command, else what `zoo login` stored, else what
 * Docker's configuration says. A credential is for one host and is never sent to another.
 *
 * @param host HOST[:PORT]
 */
export async function credentialFor(settings: Settings, host: string): Promise<Credential | undefined> {
  const token = process.env.ZOO_TOKEN
  if (token && settings.endpoint?.replace(/\/.*$/, '') === host) return credential(token)
  const stored = (await readStore(settings))[host]
  return stored ?? (await dockerCredential(host))
}

/** `USER:SECRET`, or a token alone. */
export function credential(text: string, username?: string): Credential {
  const colon = text.indexOf(':')
  if (username === undefined && colon > 0)
    return { username: text.slice(0, colon), secret: text.slice(colon + 1) }
  return { username: username ?? ANY_USER, secret: text }
}

/** Keeps a credential, in a file that only its owner can read. */
export async function storeCredential(settings: Settings, host: string, { username, secret }: Credential) {
  const stored = await readStore(settings)
  await writeStore(settings, { ...stored, [host]: { username, secret } })
}

/** Whether there was one to forget. */
export async function forgetCredential(settings: Settings, host: string): Promise<boolean> {
  const { [host]: known, ...others } = await readStore(settings)
  if (known === undefined) return false
  if (Object.keys(others).length > 0) await writeStore(settings, others)
  else await rm(storePath(settings), { force: true })
  return true
}

type Store = z.infer<typeof storedSchema>

async function readStore(settings: Settings): Promise<Store> {
  const path = storePath(settings)
  if (!existsSync(path)) return {}
  return parseAs(storedSchema, parseJson(await readFile(path, 'utf8'), path), path)
}

const writeStore = (settings: Settings, store: Store): Promise<void> =>
  writeFileAtomic(storePath(settings), async (file) => {
    await file.chmod(0o600)
    await file.writeFile(`${JSON.stringify(store, null, 2)}\n`)
  })

const dockerConfigSchema = z.object({
  auths: z
    .record(z.string(), z.object({ auth: z.string().optional(), identitytoken: z.string().optional() }))
    .default({}),
  credHelpers: z.record(z.string(), z.string()).default({}),
  credsStore: z.string().optional(),
})

/** What `docker login` left: a helper program of the host or of all hosts, else the file itself. */
async function dockerCredential(host: string): Promise<Credential | undefined> {
  const path = join(process.env.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json')
  if (!existsSync(path)) return undefined
  const config = parseAs(dockerConfigSchema, parseJson(await readFile(path, 'utf8'), path), path)
  const helper = config.credHelpers[host] ?? config.credsStore
  if (helper !== undefined) return helperCredential(helper, host)
  const entry = config.auths[host] ?? config.auths[`https://${host}`] ?? config.auths[`https://${host}/v2/`]
  if (entry?.identitytoken) return { username: ANY_USER, secret: entry.identitytoken, isIdentityToken: true }
  return entry?.auth ? credential(Buffer.from(entry.auth, 'base64').toString()) : undefined
}

const helperAnswerSchema = z.object({ Username: z.string(), Secret: z.string() })

/** Asks `docker-credential-NAME get`, which knows no more than the host it is asked about. */
function helperCredential(helper: string, host: string): Promise<Credential | undefined> {
  if (!/^[\w.-]+$/.test(helper))
    throw new ZooError(
      'authorisation',
      `Docker's configuration names an impossible credential helper: ${helper}`,
    )
  return new Promise((resolve, reject) => {
    const child = execFile(`docker-credential-${helper}`, ['get'], (error, stdout) => {
      if (error && 'code' in error && error.code === 'ENOENT')
        return reject(
          new ZooError('authorisation', `docker-credential-${helper} is not installed`, { cause: error }),
        )
      if (error) return resolve(undefined) // It has none for this host.
      const answer = helperAnswerSchema.safeParse(parseJson(stdout, `docker-credential-${helper}`))
      if (!answer.success) return resolve(undefined)
      const { Username: username, Secret: secret } = answer.data
      resolve({ username, secret, isIdentityToken: username === '<token>' })
    })
    child.stdin?.on('error', () => {}) // A helper that is missing closes it at once.
    child.stdin?.end(host)
  })
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ZooError('authorisation', `${what} is not JSON`, { cause: error })
  }
}
