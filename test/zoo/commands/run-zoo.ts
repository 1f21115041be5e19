import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { packageRoot } from '../../../manifests/package.ts'

export interface Outcome {
  /** The exit code, or null where a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  readonly outcome: Promise<Outcome>
}

/** Starts the zoo command as a user would, in a home of its own. */
export function startZoo(
  args: readonly string[],
  home: string,
  env: Record<string, string> = {},
  stdin: 'ignore' | 'pipe' = 'ignore',
): Running {
  const child = spawn(process.execPath, [join(packageRoot, 'zoo/bin.mjs'), ...args], {
    env: { ...process.env, ZOO_HOME: home, ZOO_NO_PROGRESS: '1', ...env },
    stdio: [stdin, 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout!.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr!.on('data', (chunk) => {
    stderr += chunk
  })
  const outcome = new Promise<Outcome>((resolve) =>
    child.on('close', (code) => resolve({ code, stdout, stderr })),
  )
  return { child, outcome }
}

export const runZoo = (
  args: readonly string[],
  home: string,
  env?: Record<string, string>,
): Promise<Outcome> => startZoo(args, home, env).outcome
