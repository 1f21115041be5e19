import { setTimeout as sleep } from 'node:timers/promises'
import { ZooError } from '../../../manifests/error.ts'

/** A failure of the network or of a busy server: trying again may succeed. */
export class Unreachable extends Error {
  /** Milliseconds that the server asked to wait. */
  readonly retryAfter: number | undefined

  constructor(message: string, options: { cause?: unknown; retryAfter?: number | undefined } = {}) {
    super(message, { cause: options.cause })
    this.name = 'Unreachable'
    this.retryAfter = options.retryAfter
  }
}

const FIRST_DELAY = 500
const LONGEST_DELAY = 30_000
/** A server that asks for more patience than this is given up. */
const LONGEST_WAIT = 120_000

/**
 * Runs `attempt` until it succeeds, fails for good, or has failed `retries` times in a row without headway.
 * The wait doubles each time, with jitter so that many machines don't come back at once, and is what the server asks
 * for where it does.
 *
 * @param headway a number that grows while there is progress; growth starts the count anew
 * @throws ZooError `network` with the last failure
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  options: {
    readonly retries: number
    readonly headway?: () => number
    readonly signal?: AbortSignal | undefined
  },
): Promise<T> {
  const headway = options.headway ?? (() => 0)
  let failures = 0
  let reached = headway()
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
      if (headway() > reached) failures = 0
      reached = headway()
      const wait = error.retryAfter ?? delay(failures)
      if (++failures > options.retries || wait > LONGEST_WAIT) throw givenUp(error, failures, wait)
      await sleep(wait, undefined, options.signal ? { signal: options.signal } : {})
    }
  }
}

const delay = (failures: number): number =>
  Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** failures) * (0.5 + Math.random() / 2)

function givenUp(error: Unreachable, failures: number, wait: number): ZooError {
  const why =
    wait > LONGEST_WAIT ? `the server asks to wait ${Math.round(wait / 1000)} s` : `tried ${failures} times`
  return new ZooError('network', `${error.message} (${why})`, {
    hint: 'check the connection and run the same command again: what has arrived is kept',
    cause: error,
  })
}

/** Milliseconds from a Retry-After header, in its form of seconds or of a date (RFC 9110, 10.2.3). */
export function retryAfter(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined
  if (/^\d+$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
