import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Where the zoo keeps what it can fetch or build again: `ZOO_CACHE`, or `cache` below `ZOO_HOME`,
 * or `zoo` in the XDG cache folder.
 */
export function cacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env.ZOO_CACHE) return env.ZOO_CACHE
  if (env.ZOO_HOME) return join(env.ZOO_HOME, 'cache')
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'zoo')
}
