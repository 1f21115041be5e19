import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Provider } from '../converters/onnx/runtime/session.ts'
import { writeJsonAtomic } from '../manifests/atomic.ts'
import { readDocument } from './document.ts'
import { BACKENDS, type Backend } from './engines/open.ts'

/** `RUN/machinery.json`: how a run computes. Decided once, for other choices round otherwise. */
const machinerySchema = z.strictObject({
  schemaVersion: z.literal(1),
  backend: z.enum(BACKENDS).exclude(['auto']),
  processes: z.int().positive(),
})

export type Machinery = Omit<z.infer<typeof machinerySchema>, 'schemaVersion'>

export interface WantedMachinery {
  readonly backend?: Backend
  readonly processes?: number | 'auto' | undefined
  readonly provider?: Provider | undefined
}

const DOCUMENT = 'machinery.json'

/**
 * What the run in the folder computes with: what is asked for, else what it began with, else the best.
 *
 * @param measure milliseconds of a training step with a machinery
 */
export async function settleMachinery(
  folder: string,
  wanted: WantedMachinery,
  measure: (machinery: Machinery) => Promise<number>,
): Promise<Machinery> {
  const path = join(folder, DOCUMENT)
  const known = existsSync(path) ? await readDocument(machinerySchema, path) : undefined
  const backend = await chosenBackend(wanted.backend ?? 'auto', known?.backend)
  const processes = await chosenProcesses(backend, wanted, known, measure)
  await writeJsonAtomic(path, { schemaVersion: 1, backend, processes })
  return { backend, processes }
}

async function chosenBackend(
  wanted: Backend,
  known: Machinery['backend'] | undefined,
): Promise<Machinery['backend']> {
  if (wanted !== 'auto') return wanted
  if (known) return known
  const { bestBackend } = await import('./engines/best.ts')
  return bestBackend()
}

/** Backends on which processes that share a batch may be faster than one: the others use all cores by themselves. */
const SHARING: readonly Backend[] = ['wasm', 'ort']

/** Further processes have to be this much faster than the first alone to be worth their memory. */
const WORTH = 0.9

async function chosenProcesses(
  backend: Machinery['backend'],
  { processes, provider = 'cpu' }: WantedMachinery,
  known: Machinery | undefined,
  measure: (machinery: Machinery) => Promise<number>,
): Promise<number> {
  if (typeof processes === 'number') return processes
  if (known?.backend === backend) return known.processes
  const cores = availableParallelism()
  const mayShare = SHARING.includes(backend) && provider === 'cpu'
  if (processes === undefined || !mayShare || cores === 1) return 1
  const alone = await measure({ backend, processes: 1 })
  const together = await measure({ backend, processes: cores })
  return together < WORTH * alone ? cores : 1
}
