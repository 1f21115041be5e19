import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ZooError } from '../error.ts'
import { packageRoot } from '../package.ts'
import { parseAs } from '../schema/parse.ts'
import { type Recipe, recipeSchema } from '../schema/recipe.ts'

const folder = join(packageRoot, 'manifests', 'recipes')

/** The recipes that the zoo ships, in alphabetical order. */
export const recipeNames = (): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort()

/**
 * A recipe by its name, or from a file of one's own.
 *
 * @throws ZooError `not-found`, or `invalid-manifest` naming all bad fields
 */
export function readRecipe(nameOrPath: string): Recipe {
  const own = join(folder, `${nameOrPath}.json`)
  const path = /^[\w.-]+$/.test(nameOrPath) && existsSync(own) ? own : nameOrPath
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ZooError('not-found', `there is no recipe ${nameOrPath}`, {
      hint: `the zoo has ${recipeNames().join(', ')}; a path of a .json file works too`,
      cause: error,
    })
  }
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw new ZooError('invalid-manifest', `${path} is not JSON: ${(error as Error).message}`)
  }
  return parseAs(recipeSchema, document, path)
}
