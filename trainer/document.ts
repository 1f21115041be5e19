import { readFile } from 'node:fs/promises'
import type { z } from 'zod'
import { ZooError } from '../manifests/error.ts'
import { parseAs } from '../manifests/schema/parse.ts'

/**
 * A document that a run keeps in its folder.
 *
 * @throws ZooError `integrity` when it is no JSON any more: it was written whole, so something has damaged it;
 *   `invalid-manifest` when it is of another form
 */
export async function readDocument<T extends z.ZodType>(schema: T, path: string): Promise<z.output<T>> {
  const text = await readFile(path, 'utf8')
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw new ZooError('integrity', `${path} is damaged: it is not JSON`, {
      hint: 'train into another folder, or remove this one to begin again',
      cause: error,
    })
  }
  return parseAs(schema, document, path)
}
