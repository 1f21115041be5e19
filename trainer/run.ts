import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { DataSet } from '../converters/data/dataset.ts'
import { writeJsonAtomic } from '../manifests/atomic.ts'
import { ZooError } from '../manifests/error.ts'
import { sha256Schema } from '../manifests/schema/model.ts'
import { type Recipe, recipeSchema } from '../manifests/schema/recipe.ts'
import { readDocument } from './document.ts'
import { readGiven } from './given.ts'
import { type Network, resnetNetwork, withFrozen } from './network.ts'

/** `RUN/run.json`: what is being trained, on what. Everything that decides the weights, beside the backend, is in here. */
const runSchema = z.strictObject({
  schemaVersion: z.literal(1),
  recipe: recipeSchema,
  recipeSha256: sha256Schema,
  /** The model or run that training started from. */
  from: z.strictObject({ name: z.string(), sha256: sha256Schema }).optional(),
  data: z.strictObject({
    name: z.string(),
    sha256: z.string(),
    size: z.int().positive(),
    shape: z.tuple([z.int(), z.int(), z.int()]),
    classes: z.array(z.string()).min(2),
  }),
})
export type Run = z.infer<typeof runSchema>

const DOCUMENT = 'run.json'

/** What this recipe makes of this data. Classes that the data set doesn't name are called by their numbers. */
export function planRun(recipe: Recipe, data: DataSet, from?: Run['from']): Run {
  const classes = data.classes ?? numbered(recipe, data)
  return {
    schemaVersion: 1,
    recipe,
    recipeSha256: digest(recipe),
    ...(from && { from }),
    data: {
      name: data.name,
      sha256: data.sha256,
      size: data.size,
      shape: [...data.shape],
      classes: [...classes],
    },
  }
}

function numbered(recipe: Recipe, data: DataSet): string[] {
  const { classes } = recipe.data
  if (classes === undefined)
    throw new ZooError('invalid-manifest', `${data.name} doesn't say how many classes it has`, {
      hint: 'give the number in the recipe, as data.classes',
    })
  return Array.from({ length: classes }, (_, i) => String(i))
}

export const digest = (document: unknown): string =>
  createHash('sha256').update(JSON.stringify(document)).digest('hex')

/**
 * Writes the run's document, or checks that the folder holds the same run already.
 *
 * @throws ZooError `conflict` when it holds another
 */
export async function claimFolder(folder: string, run: Run): Promise<void> {
  if (!existsSync(join(folder, DOCUMENT))) return writeJsonAtomic(join(folder, DOCUMENT), run)
  const there = await readRun(folder)
  if (digest(there) === digest(run)) return
  const what =
    there.recipeSha256 === run.recipeSha256 ? 'on other data' : `of another recipe (${there.recipe.name})`
  throw new ZooError('conflict', `${folder} holds a run ${what}`, {
    hint: 'train into another folder, or remove this one',
  })
}

/** @throws ZooError `not-found` when the folder holds no run */
export async function readRun(folder: string): Promise<Run> {
  const path = join(folder, DOCUMENT)
  if (!existsSync(path))
    throw new ZooError('not-found', `${folder} holds no run`, {
      hint: 'zoo train RECIPE.json --out RUN makes one',
    })
  return readDocument(runSchema, path)
}

/** What the run in a folder started from, if there is one: later sittings need not say it again. */
export const originIn = async (folder: string): Promise<Run['from']> =>
  existsSync(join(folder, DOCUMENT)) ? (await readRun(folder)).from : undefined

/** The network of a run, with its first weights; a given one lies in the run's folder. */
export async function networkOf({ recipe, data }: Run, folder: string): Promise<Network> {
  const { network, freeze, seed } = recipe
  const built =
    network.family === 'given'
      ? await readGiven(folder)
      : resnetNetwork(network, data.shape, data.classes.length, seed)
  return withFrozen(built, freeze)
}
