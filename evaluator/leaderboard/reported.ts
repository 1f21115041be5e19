import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../manifests/package.ts'
import { type Reported, reportedSchema } from '../../manifests/schema/leaderboard.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import { parseJson } from './versions.ts'

/** Figures that others published, one file per source, as they ship with the package. */
export async function readReported(
  folder: string = join(packageRoot, 'manifests/leaderboard/reported'),
): Promise<Reported[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort()
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      return parseAs(reportedSchema, parseJson(await readFile(path, 'utf8'), path), path)
    }),
  )
}
