import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import type { Tensor } from '../../converters/onnx/tensor.ts'
import { writeFileAtomic, writeJsonAtomic } from '../../manifests/atomic.ts'
import { ZooError } from '../../manifests/error.ts'
import { sha256Schema } from '../../manifests/schema/model.ts'
import { readDocument } from '../document.ts'
import { readSafetensors, writeSafetensors } from './safetensors.ts'

/**
 * `RUN/checkpoint.json` is the checkpoint; it names the safetensors file beside it, which was complete before.
 * All randomness is keyed by the recipe's seed and the step, so the step is the random state and the place in the data.
 */
const checkpointSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** Digest of the recipe and of what it was applied to: another one cannot go on from here. */
  plan: sha256Schema,
  /** What computed it; another one goes on from here too, but rounds otherwise. */
  backend: z.string(),
  /** Batches done. */
  step: z.int().nonnegative(),
  /** Seconds of training until here, over all sittings. */
  seconds: z.number().nonnegative(),
  /** Why the method ended the training before its time. */
  finished: z.string().optional(),
  file: z.string().regex(/^[\w.-]+\.safetensors$/),
  sha256: sha256Schema,
  /** What was measured on the way; see `history.ts`. */
  history: z.array(z.record(z.string(), z.number())),
})

export type CheckpointDocument = z.infer<typeof checkpointSchema>

export interface Checkpoint extends Omit<CheckpointDocument, 'schemaVersion' | 'file' | 'sha256'> {
  /** The engine's state, and the method's memory under `method/NAME`. */
  readonly tensors: ReadonlyMap<string, Tensor>
}

const DOCUMENT = 'checkpoint.json'

export async function writeCheckpoint(run: string, checkpoint: Checkpoint): Promise<void> {
  const { tensors, ...document } = checkpoint
  const file = `checkpoint-${String(checkpoint.step).padStart(8, '0')}.safetensors`
  await writeFileAtomic(join(run, file), (handle) => writeSafetensors(handle, tensors))
  const sha256 = await digestOf(join(run, file))
  await writeJsonAtomic(join(run, DOCUMENT), { schemaVersion: 1, ...document, file, sha256 })
  for (const name of await readdir(run))
    if (/^checkpoint-\d+\.safetensors$/.test(name) && name !== file) await rm(join(run, name))
}

/**
 * The run's last checkpoint, or undefined where there is none yet.
 *
 * @throws ZooError `integrity` when it is damaged
 */
export async function readCheckpoint(run: string): Promise<Checkpoint | undefined> {
  const path = join(run, DOCUMENT)
  if (!existsSync(path)) return undefined
  const { file, sha256, schemaVersion: _, ...document } = await readDocument(checkpointSchema, path)
  const data = join(run, file)
  if (!existsSync(data)) throw new ZooError('integrity', `${path} names ${file}, which is not there`)
  if ((await digestOf(data)) !== sha256)
    throw new ZooError('integrity', `${data} is damaged: its sha256 is not the one in ${DOCUMENT}`, {
      hint: 'train into another folder, or remove this one to begin again',
    })
  return { ...document, tensors: await readSafetensors(data) }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
