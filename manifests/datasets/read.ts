import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../package.ts'
import { type DatasetManifest, datasetManifestSchema } from '../schema/dataset.ts'
import { parseAs } from '../schema/parse.ts'

const folder = join(packageRoot, 'manifests', 'datasets')

/** Names of the data sets that the zoo knows, in alphabetical order. */
export const datasetNames = (): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort()

/** The manifest of a data set by name, or undefined where the zoo knows none. */
export function datasetManifest(name: string): DatasetManifest | undefined {
  if (!/^[\w.-]+$/.test(name)) return undefined
  const path = join(folder, `${name}.json`)
  if (!existsSync(path)) return undefined
  return parseAs(
    datasetManifestSchema,
    JSON.parse(readFileSync(path, 'utf8')),
    `manifests/datasets/${name}.json`,
  )
}
