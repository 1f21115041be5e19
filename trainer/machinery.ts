import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { writeJsonAtomic } from '../manifests/atomic.ts'
import { parseAs } from '../manifests/schema/parse.ts'
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
  const known = existsSync(path)
    ? parseAs(machinerySchema, JSON.parse(await readFile(path, 'utf8')), path)
    : undefined
  const backend = await chosenBackend(wanted.backend ?? 'auto', known?.backend)
  const processes = await chosenProcesses(backend, wanted.processes, known, measure)
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

/** A second process has to be this much faster than the first alone to be worth its memory. */
const WORTH = 0.9

async function chosenProcesses(
  backend: Machinery['backend'],
  wanted: number | 'auto' | undefined,
  known: Machinery | undefined,
  measure: (machinery: Machinery) => Promise<number>,
): Promise<number> {
  if (typeof wanted === 'number') return wanted
  if (known?.backend === backend) return known.processes
  const cores = availableParallelism()
  // Native backends use all cores by themselves.
  if (wanted === undefined || backend !== 'wasm' || cores === 1) return 1
  const alone = await measure({ backend, processes: 1 })
  const together = await measure({ backend, processes: cores })
  return together < WORTH * alone ? cores : 1
}
