import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ZooError } from '../error.ts'
import { packageRoot } from '../package.ts'
import { type Battery, batterySchema } from '../schema/battery.ts'
import { parseAs } from '../schema/parse.ts'

const folder = join(packageRoot, 'manifests', 'batteries')

/** The batteries that the zoo ships, in alphabetical order. */
export const batteryIds = (): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort()

/**
 * A battery by its id, or from a file of one's own.
 *
 * @throws ZooError `not-found`, or `invalid-manifest` naming all bad fields
 */
export function readBattery(idOrPath: string): Battery {
  const own = join(folder, `${idOrPath}.json`)
  const path = /^[a-z0-9-]+$/.test(idOrPath) && existsSync(own) ? own : idOrPath
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ZooError('not-found', `there is no battery ${idOrPath}`, {
      hint: `the zoo has ${batteryIds().join(', ')}; a path of a .json file works too`,
      cause: error,
    })
  }
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw new ZooError('invalid-manifest', `${path} is not JSON: ${(error as Error).message}`)
  }
  return parseAs(batterySchema, document, path)
}
