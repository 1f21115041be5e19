import { randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeJsonAtomic } from '../../manifests/atomic.ts'
import { sha256Schema } from '../../manifests/schema/model.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import { parseJson } from './versions.ts'

/** By track: the seed that was drawn, and the models that it was drawn for. */
const roundsSchema = z.record(
  z.string(),
  z.strictObject({ seed: z.int().nonnegative(), models: z.array(sha256Schema) }),
)

export type Draw = () => number
const drawn: Draw = () => randomInt(2 ** 31)

/**
 * The seed of a track whose targets nobody may know in advance. It is drawn when a model joins, written down before
 * anything is evaluated with it, and stays while no further model joins: an interrupted round goes on with its seed.
 */
export async function roundSeed(
  store: string,
  track: string,
  models: readonly string[],
  draw: Draw = drawn,
): Promise<number> {
  const path = join(store, 'rounds.json')
  const rounds = existsSync(path)
    ? parseAs(roundsSchema, parseJson(await readFile(path, 'utf8'), path), path)
    : {}
  const round = rounds[track]
  if (round && models.every((sha256) => round.models.includes(sha256))) return round.seed
  const seed = draw()
  await writeJsonAtomic(path, { ...rounds, [track]: { seed, models: [...models].sort() } })
  return seed
}
