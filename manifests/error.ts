/**
 * Every failure a user can meet, with the exit code that scripts may rely on.
 * The set is closed: a new kind of failure is a new row here and in the README.
 */
export const EXIT_CODES = {
  internal: 1,
  usage: 2,
  'check-failed': 3,
  'unsupported-model': 4,
  'invalid-model': 5,
  'invalid-data': 6,
  'invalid-manifest': 7,
  'not-found': 8,
  conflict: 9,
  network: 10,
  integrity: 11,
  authorisation: 12,
  offline: 13,
  disk: 14,
  'backend-unavailable': 15,
  'session-crashed': 16,
  'training-diverged': 17,
  interrupted: 130,
} as const

export type ErrorCode = keyof typeof EXIT_CODES

/**
 * The one error that crosses module boundaries. `message` is one readable line that says what is wrong;
 * `hint` says what to do about it.
 */
export class ZooError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ZooError'
    this.code = code
    this.hint = options.hint
  }

  get exitCode(): number {
    return EXIT_CODES[this.code]
  }
}

/** Any thrown value as a ZooError, so that a caller can always read a code. */
export function asZooError(error: unknown): ZooError {
  if (error instanceof ZooError) return error
  const system = error as NodeJS.ErrnoException
  const message = error instanceof Error ? error.message : String(error)
  if (system?.code === 'ENOSPC' || system?.code === 'EDQUOT')
    return new ZooError('disk', `no space left on the disk: ${message}`, {
      hint: 'free some space and run the same command again: finished work is kept',
      cause: error,
    })
  if (system?.code === 'EROFS' || system?.code === 'EACCES' || system?.code === 'EPERM')
    return new ZooError('disk', `cannot write or read: ${message}`, { cause: error })
  if (system?.code === 'ENOENT')
    return new ZooError('not-found', `no such file: ${system.path ?? message}`, { cause: error })
  return new ZooError('internal', message, { cause: error })
}
