import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import { ZooError } from './error.ts'
import { packageRoot } from './package.ts'
import { parseAs } from './schema/parse.ts'

/** One folder of documents that ship with the zoo, by the name of their file. */
export interface Shelf<T> {
  /** All names, in alphabetical order. */
  names(): string[]
  /** The document of that name, or undefined where there is none. */
  find(name: string): T | undefined
  /**
   * A document by its name, or from a file of one's own.
   *
   * @throws ZooError `not-found`, or `invalid-manifest` naming all bad fields
   */
  read(nameOrPath: string): T
}

/** @param kind what a document is called in messages: `battery` */
export function shelf<T extends z.ZodType>(folder: string, kind: string, schema: T): Shelf<z.output<T>> {
  const place = join(packageRoot, 'manifests', folder)
  const names = () =>
    readdirSync(place)
      .filter((file) => file.endsWith('.json'))
      .map((file) => file.slice(0, -'.json'.length))
      .sort()
  const pathOf = (name: string): string | undefined => {
    const path = join(place, `${name}.json`)
    return /^[\w.-]+$/.test(name) && existsSync(path) ? path : undefined
  }
  return {
    names,
    find(name) {
      const path = pathOf(name)
      return path === undefined ? undefined : readAs(path, schema)
    },
    read(nameOrPath) {
      const path = pathOf(nameOrPath) ?? nameOrPath
      if (!existsSync(path))
        throw new ZooError('not-found', `there is no ${kind} ${nameOrPath}`, {
          hint: `the zoo has ${names().join(', ')}; a path of a .json file works too`,
        })
      return readAs(path, schema)
    },
  }
}

function readAs<T extends z.ZodType>(path: string, schema: T): z.output<T> {
  let document: unknown
  try {
    document = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new ZooError('invalid-manifest', `${path} is not JSON: ${error.message}`, { cause: error })
  }
  return parseAs(schema, document, path)
}
