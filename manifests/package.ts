import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder that holds package.json: the checkout, or the installed package. Sources and compiled files both find it. */
export const packageRoot: string = (() => {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
})()

export const packageVersion = (): string =>
  (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version

/**
 * The URL of a module beside the calling one, for child processes: `.ts` in a checkout, `.js` when compiled.
 *
 * @example const worker = moduleBeside(import.meta.url, './worker')
 */
export const moduleBeside = (here: string, path: string): URL =>
  new URL(`${path}${here.endsWith('.ts') ? '.ts' : '.js'}`, here)

/** Node flags with which a child process can load `moduleBeside`'s answer: a TypeScript loader in a checkout, none otherwise. */
export const moduleFlags = (module: URL): string[] =>
  module.pathname.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : []

/** The same for worker threads, in which the loader has to be registered by itself. */
export function threadFlags(module: URL): string[] {
  if (!module.pathname.endsWith('.ts')) return []
  const registration = `import { register } from '${import.meta.resolve('tsx/esm/api')}'; register()`
  return ['--import', `data:text/javascript,${encodeURIComponent(registration)}`]
}
