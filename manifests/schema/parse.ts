import { z } from 'zod'
import { ZooError } from '../error.ts'

/**
 * Checks a document against a schema and reports all bad fields together.
 *
 * @throws ZooError `invalid-manifest`, naming `what`
 */
export function parseAs<T extends z.ZodType>(schema: T, document: unknown, what: string): z.output<T> {
  const result = schema.safeParse(document)
  if (result.success) return result.data
  throw new ZooError('invalid-manifest', `${what} is not valid:\n${z.prettifyError(result.error)}`)
}
