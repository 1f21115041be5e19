import { homedir } from 'node:os'
import { join } from 'node:path'
import { cacheFolder } from '../../manifests/cache.ts'
import { ZooError } from '../../manifests/error.ts'
import { packageRoot } from '../../manifests/package.ts'
import { VERIFY_MODES, type VerifyMode } from '../../manifests/schema/trust.ts'

/** How a downloaded file gets from the content-addressed store to the place where it is used. */
export const LINK_MODES = ['auto', 'reflink', 'hardlink', 'copy'] as const
export type LinkMode = (typeof LINK_MODES)[number]

/** What the environment and a command's flags decide for the registry. */
export interface Settings {
  /** What can be fetched again: `blobs/`, `models/`, `data/`, and what a transfer needs meanwhile. */
  readonly cache: string
  /** The user's own registry, an OCI image layout: what `zoo push` publishes without an endpoint. */
  readonly registry: string
  /** Tokens and the trust policy. */
  readonly config: string
  /** What ships with the package, read only: models in `oci`, an OCI image layout, and who signs them in `trust.json`. */
  readonly shipped: string
  /** The registry that names are looked up in after the local ones: `HOST/PREFIX`, or a folder with an OCI layout. */
  readonly endpoint: string | undefined
  /** Folders or URLs that keep files as `blobs/sha256/DIGEST`, tried before a file's own sources. */
  readonly mirrors: readonly string[]
  readonly offline: boolean
  /** Files in transfer at once. */
  readonly concurrency: number
  /** Milliseconds without a byte after which a transfer counts as stalled. */
  readonly timeout: number
  /** How often a transfer that makes no headway is tried again. */
  readonly retries: number
  readonly linkMode: LinkMode
  /** What a missing or unknown signature means; undefined leaves it to the trust policy. */
  readonly verify: VerifyMode | undefined
}

export interface SettingFlags {
  readonly offline?: boolean | undefined
  readonly mirror?: readonly string[] | undefined
  readonly endpoint?: string | undefined
  readonly verify?: VerifyMode | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Settings from flags, else the environment, else defaults. With ZOO_HOME everything lives below one folder;
 * without it the XDG base directories are used.
 *
 * @throws ZooError `usage` where a variable has a value that means nothing
 */
export function readSettings(flags: SettingFlags = {}, env: Environment = process.env): Settings {
  const below = (base: string | undefined, fallback: string): string =>
    join(base || join(homedir(), fallback), 'zoo')
  const home = env.ZOO_HOME
  return {
    cache: cacheFolder(env),
    registry: home ? join(home, 'registry') : join(below(env.XDG_DATA_HOME, '.local/share'), 'registry'),
    config: home ? join(home, 'config') : below(env.XDG_CONFIG_HOME, '.config'),
    shipped: join(packageRoot, 'manifests', 'models'),
    endpoint: flags.endpoint ?? (env.ZOO_ENDPOINT || undefined),
    mirrors: flags.mirror ?? list(env.ZOO_MIRRORS),
    offline: flags.offline ?? isSet(env.ZOO_OFFLINE),
    concurrency: wholeNumber(env, 'ZOO_CONCURRENCY', 4, 1),
    timeout: wholeNumber(env, 'ZOO_TIMEOUT', 30, 1) * 1000,
    retries: wholeNumber(env, 'ZOO_RETRIES', 5, 0),
    linkMode: oneOf(env, 'ZOO_LINK_MODE', LINK_MODES) ?? 'auto',
    verify: flags.verify ?? oneOf(env, 'ZOO_VERIFY', VERIFY_MODES),
  }
}

const isSet = (value: string | undefined): boolean =>
  value !== undefined && value !== '' && value !== '0' && value !== 'false'

const list = (value: string | undefined): string[] =>
  (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

function wholeNumber(env: Environment, name: string, fallback: number, least: number): number {
  const text = env[name]
  if (!text) return fallback
  const value = Number(text)
  if (Number.isInteger(value) && value >= least) return value
  throw new ZooError(
    'usage',
    `${name} is ${JSON.stringify(text)}; it must be a whole number from ${least} up`,
  )
}

function oneOf<T extends string>(env: Environment, name: string, values: readonly T[]): T | undefined {
  const text = env[name]
  if (!text) return undefined
  const value = values.find((known) => known === text)
  if (value !== undefined) return value
  throw new ZooError('usage', `${name} is ${JSON.stringify(text)}; it must be one of ${values.join(', ')}`)
}
