import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { asZooError, ZooError } from '../../manifests/error.ts'
import type { InputDescription } from '../../manifests/schema/input.ts'
import { submissionSchema } from '../../manifests/schema/leaderboard.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import { type ExampleRow, examplesSchema, type Result, resultSchema } from '../../manifests/schema/result.ts'
import { openLedger } from '../protocol/ledger.ts'

/** One finished run of `zoo eval --out`. */
export interface Evaluation {
  readonly dir: string
  readonly result: Result
  /** Ordered by index. */
  readonly examples: readonly ExampleRow[]
  /** How the model's images were described, and threads in each session, where the plan says. */
  readonly input?: InputDescription | undefined
  readonly threads?: number | undefined
  /** What the submitter says of warning flags, by the flag's name. */
  readonly explanations: Readonly<Record<string, string>>
  /** A sheet of broken images (PNG), where the ledger has one. It is for the eye: no number depends on it. */
  readonly pictures?: Uint8Array | undefined
  /** The files of which the board keeps a copy, so that every number can be checked against its outcomes. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Digest over those files' names and contents. */
  readonly sha256: string
}

const NEEDED = ['result.json', 'examples.json'] as const
export const PICTURES = 'pictures.png'
/** Written by hand, beside the ledger, where a flag wants an explanation. */
const SUBMISSION = 'submission.json'

/**
 * @throws ZooError `not-found` when the folder holds no finished evaluation, `invalid-manifest` when what it
 * holds breaks the contract
 */
export async function readEvaluation(dir: string): Promise<Evaluation> {
  const files = new Map<string, Uint8Array>()
  for (const name of [...NEEDED, SUBMISSION]) {
    const bytes = await readIfThere(join(dir, name))
    if (bytes) files.set(name, bytes)
  }
  const missing = NEEDED.find((name) => !files.has(name))
  if (missing)
    throw new ZooError('not-found', `${dir} holds no finished evaluation: ${missing} is missing`, {
      hint: 'finish it by running the same `zoo eval ... --out` again; shards are joined by `zoo merge`',
    })
  const read = <T extends z.ZodType>(schema: T, name: string): z.output<T> =>
    parseAs(schema, json(files, name, dir), join(dir, name))
  const examples = read(examplesSchema, 'examples.json')
  const protocol = (await openLedger(dir).plan())?.protocol
  return {
    dir,
    result: read(resultSchema, 'result.json'),
    examples: [...examples].sort((a, b) => a.index - b.index),
    input: protocol?.model.input,
    threads: protocol?.threads,
    explanations: files.has(SUBMISSION) ? read(submissionSchema, SUBMISSION).explanations : {},
    pictures: await readIfThere(join(dir, PICTURES)),
    files,
    sha256: digest(files),
  }
}

const readIfThere = (path: string): Promise<Uint8Array | undefined> =>
  readFile(path).catch((error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw asZooError(error)
  })

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
