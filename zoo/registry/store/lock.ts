import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const HEARTBEAT = 2_000
/** A lock that its holder has not touched for this long is taken over; so is one whose process is gone. */
const STALE = 30_000
const POLL = 50
/** A wait of a second or so is not worth a word. */
const TRIES_IN_SILENCE = 30

/**
 * Runs `work` while holding a lock file, so that processes don't do the same thing twice. A holder that died loses the
 * lock. Nothing's integrity may rest on it alone: on some network file systems locks are best effort.
 *
 * @param onWait called once where another process holds it for long
 */
export async function withLock<T>(path: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), id: randomUUID() })
  await mkdir(dirname(path), { recursive: true })
  for (let tries = 0; !(await take(path, mine)); tries++) {
    if (tries === TRIES_IN_SILENCE) onWait()
    await takeOverIfAbandoned(path)
    await sleep(POLL * (0.5 + Math.random()))
  }
  const heartbeat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => {})
  }, HEARTBEAT)
  heartbeat.unref()
  try {
    return await work()
  } finally {
    clearInterval(heartbeat)
    if ((await contentOf(path)) === mine) await rm(path, { force: true })
  }
}

async function take(path: string, mine: string): Promise<boolean> {
  try {
    await writeFile(path, mine, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function takeOverIfAbandoned(path: string): Promise<void> {
  const seen = await contentOf(path)
  if (seen === undefined || !(await isAbandoned(path, seen))) return
  // A rename takes it from all others at once. If another process got here first, what we took is its fresh lock.
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  if ((await contentOf(aside)) === seen) await rm(aside, { force: true })
  else await rename(aside, path)
}

async function isAbandoned(path: string, content: string): Promise<boolean> {
  const age = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  )
  if (age > STALE) return true
  try {
    const { pid, host } = JSON.parse(content) as { pid: number; host: string }
    return host === hostname() && !isAlive(pid)
  } catch {
    return false // Its holder is still writing it.
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const contentOf = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined)
