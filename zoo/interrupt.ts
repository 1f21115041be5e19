import { EXIT_CODES, ZooError } from '../manifests/error.ts'

const controller = new AbortController()
let graceful = 0
let firstAt = 0

/** A terminal sends Ctrl-C to npx and to us, and npx hands it on: within this many milliseconds it is the same one. */
const ECHO = 1000

/**
 * Runs a job that knows how to stop by itself: at the first Ctrl-C (or SIGTERM) its signal is aborted, so that it can
 * keep what it has; at the second the process ends at once. Jobs outside of this end at the first: what they had
 * finished is on the disk, and temporary files go with the process.
 */
export async function stoppable<T>(job: (signal: AbortSignal) => Promise<T>): Promise<T> {
  graceful++
  try {
    return await job(controller.signal)
  } finally {
    graceful--
  }
}

/** What a job ended with, or that it was told to stop: whatever goes wrong after that is a consequence. */
export const causeOf = (error: ZooError): ZooError =>
  controller.signal.aborted && error.code !== 'interrupted'
    ? new ZooError('interrupted', 'stopped', {
        hint: 'the same command again goes on where it was',
        cause: error,
      })
    : error

export function handleInterrupts(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (graceful > 0 && controller.signal.aborted && Date.now() - firstAt < ECHO) return
      if (graceful > 0 && !controller.signal.aborted) {
        firstAt = Date.now()
        process.stderr.write('\nzoo: stopping after the step at hand; once more stops at once\n')
        controller.abort()
        return
      }
      process.stderr.write('\nzoo: interrupted; the same command again goes on where it was [interrupted]\n')
      process.exit(EXIT_CODES.interrupted)
    })
}
