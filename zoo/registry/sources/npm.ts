import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ZooError } from '../../../manifests/error.ts'
import type { Settings } from '../settings.ts'

const run = promisify(execFile)

/**
 * Fetches an npm package's tarball by `npm pack`, so that the user's own npm settings (registry, proxy, certificates,
 * tokens, offline cache) all count.
 *
 * @param spec PACKAGE@VERSION
 * @returns the tarball's path in `folder`
 * @throws ZooError `network`, `not-found`, `authorisation` or `offline`, with npm's own words
 */
export async function npmTarball(spec: string, folder: string, { offline }: Settings): Promise<string> {
  const flags = ['--json', '--ignore-scripts', '--no-update-notifier', ...(offline ? ['--offline'] : [])]
  try {
    const { stdout } = await run('npm', ['pack', spec, '--pack-destination', folder, ...flags], {
      cwd: folder,
      shell: process.platform === 'win32',
      maxBuffer: 1 << 26,
    })
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
    return join(folder, filename.replace('@', '').replace('/', '-'))
  } catch (error) {
    throw npmFailure(spec, error as NodeJS.ErrnoException & { stdout?: string; stderr?: string })
  }
}

function npmFailure(
  spec: string,
  error: NodeJS.ErrnoException & { stdout?: string; stderr?: string },
): ZooError {
  if (error.code === 'ENOENT')
    return new ZooError('network', `npm:${spec}: npm is not installed`, { cause: error })
  const output = `${error.stdout ?? ''}\n${error.stderr ?? ''}`
  const code = /\b(E404|ETARGET|ENOTCACHED|E401|E403|ENEEDAUTH|EINTEGRITY)\b/.exec(output)?.[1]
  const summary = /"summary": "([^"]+)"/.exec(output)?.[1] ?? error.message.split('\n')[0]
  const kinds = {
    E404: 'not-found',
    ETARGET: 'not-found',
    ENOTCACHED: 'offline',
    E401: 'authorisation',
    E403: 'authorisation',
    ENEEDAUTH: 'authorisation',
    EINTEGRITY: 'integrity',
  } as const
  const kind = code === undefined ? 'network' : kinds[code as keyof typeof kinds]
  return new ZooError(kind, `npm:${spec}: ${summary}`, { cause: error })
}
