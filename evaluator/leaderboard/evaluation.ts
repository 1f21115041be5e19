import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asZooError, ZooError } from '../../manifests/error.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import { type ExampleRow, examplesSchema, type Result, resultSchema } from '../../manifests/schema/result.ts'

/** One finished run of `zoo eval --out`. */
export interface Evaluation {
  readonly dir: string
  readonly result: Result
  /** Ordered by index. */
  readonly examples: readonly ExampleRow[]
  /** The files of which the board keeps a copy, so that every number can be checked against its outcomes. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Digest over those files' names and contents. */
  readonly sha256: string
}

const KEPT = ['result.json', 'examples.json'] as const

/**
 * @throws ZooError `not-found` when the folder holds no finished evaluation, `invalid-manifest` when what it
 * holds breaks the contract
 */
export async function readEvaluation(dir: string): Promise<Evaluation> {
  const files = new Map<string, Uint8Array>()
  for (const name of KEPT) {
    files.set(
      name,
      await readFile(join(dir, name)).catch((error) => {
        if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw asZooError(error)
        throw new ZooError('not-found', `${dir} holds no finished evaluation: ${name} is missing`, {
          hint: 'finish it by running the same `zoo eval ... --out` again; shards are joined by `zoo merge`',
        })
      }),
    )
  }
  const result = parseAs(resultSchema, json(files, 'result.json', dir), join(dir, 'result.json'))
  const examples = parseAs(examplesSchema, json(files, 'examples.json', dir), join(dir, 'examples.json'))
  return {
    dir,
    result,
    examples: [...examples].sort((a, b) => a.index - b.index),
    files,
    sha256: digest(files),
  }
}

function json(files: ReadonlyMap<string, Uint8Array>, name: string, dir: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(files.get(name)))
  } catch (error) {
    throw new ZooError('invalid-manifest', `${join(dir, name)} is not JSON: ${(error as Error).message}`)
  }
}

function digest(files: ReadonlyMap<string, Uint8Array>): string {
  const hash = createHash('sha256')
  for (const [name, bytes] of files)
    hash.update(`${name}\n${createHash('sha256').update(bytes).digest('hex')}\n`)
  return hash.digest('hex')
}
