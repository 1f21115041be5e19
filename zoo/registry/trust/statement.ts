import { createHash } from 'node:crypto'
import { z } from 'zod'
import { ZooError } from '../../../manifests/error.ts'

/** A signed file: its path in the model's folder, and its digest. */
export interface SignedFile {
  readonly path: string
  readonly sha256: string
}

const STATEMENT = 'https://in-toto.io/Statement/v1'
const PREDICATE = 'https://model_signing/signature/v1.0'

const statementSchema = z.object({
  _type: z.literal(STATEMENT),
  subject: z.array(z.object({ name: z.string(), digest: z.object({ sha256: z.string() }) })).length(1),
  predicateType: z.literal(PREDICATE),
  predicate: z.object({
    serialization: z.object({ method: z.literal('files') }),
    resources: z.array(
      z.object({
        name: z.string(),
        algorithm: z.literal('sha256'),
        digest: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    ),
  }),
})

/**
 * What a signature says of a model: an in-toto statement with every file's digest, and one digest over them all
 * (OpenSSF model signing 1.0). Files are in the order of their paths.
 */
export function makeStatement(model: string, files: readonly SignedFile[]): unknown {
  const resources = [...files]
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ path, sha256 }) => ({ name: path, algorithm: 'sha256', digest: sha256 }))
  return {
    _type: STATEMENT,
    subject: [{ name: model, digest: { sha256: rootDigest(resources.map(({ digest }) => digest)) } }],
    predicateType: PREDICATE,
    predicate: {
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: [] },
      resources,
    },
  }
}

/**
 * Checks that a statement, whose signature is known to be good, is about exactly these files.
 *
 * @throws ZooError `integrity` that names the first difference
 */
export function checkStatement(payload: Uint8Array, files: readonly SignedFile[]): void {
  const parsed = statementSchema.safeParse(parseJson(payload))
  if (!parsed.success) throw new ZooError('integrity', 'the signature is not about a model')
  const { resources } = parsed.data.predicate
  if (rootDigest(resources.map(({ digest }) => digest)) !== parsed.data.subject[0]!.digest.sha256)
    throw new ZooError('integrity', 'the signature contradicts itself')
  const signed = new Map(resources.map(({ name, digest }) => [name, digest]))
  for (const { path, sha256 } of files)
    if (signed.get(path) !== sha256)
      throw new ZooError(
        'integrity',
        `the signature ${signed.has(path) ? 'is for another' : 'does not cover'} ${path}`,
      )
  if (signed.size !== files.length)
    throw new ZooError('integrity', 'the signature covers files that the model does not have')
}

const rootDigest = (digests: readonly string[]): string =>
  createHash('sha256')
    .update(Buffer.concat(digests.map((digest) => Buffer.from(digest, 'hex'))))
    .digest('hex')

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString())
  } catch {
    return undefined
  }
}
