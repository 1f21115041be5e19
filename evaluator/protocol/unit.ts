import { z } from 'zod'
import type { AttackEntry } from '../../manifests/schema/battery.ts'
import { sha256Schema } from '../../manifests/schema/model.ts'
import { digestOf } from './canonical.ts'
import type { Protocol } from './plan.ts'

/** Raise when a change of code changes what a unit computes: older results are then not taken for new ones. */
const UNIT_VERSION = 2

/** The unit of work: one attack's one restart on one set of examples, or the clean pass over them, or the warning checks. */
export interface Unit {
  readonly work: 'clean' | 'checks' | AttackEntry
  readonly restart: number
  /** Indices in the data set. */
  readonly rows: readonly number[]
}

export const unitName = ({ work, restart }: Unit): string =>
  typeof work === 'string' ? work : restart > 0 ? `${work.name} (${restart + 1})` : work.name

/** Names a unit by everything that determines its result, the examples that it was given included. */
export function unitId(unit: Unit, protocol: Protocol): string {
  const { model, dataset, threat, sources, seed, batch, threads, provider, software } = protocol
  const source =
    typeof unit.work === 'object' && 'source' in unit.work ? sources[unit.work.source!] : undefined
  return digestOf({
    version: UNIT_VERSION,
    model: { ...model, name: undefined },
    dataset: dataset.sha256,
    threat,
    source,
    seed,
    batch,
    threads,
    provider,
    runtime: software.onnxruntime,
    ...unit,
  })
}

const bits = z.string().regex(/^[01]*$/)

/** What one attack left of each row at one checkpoint. Lists are in the unit's order of rows. */
export const outcomeSchema = z.strictObject({
  /** The iteration, for attacks that are scored at several; 0 for the end. */
  checkpoint: z.int().nonnegative(),
  /** 1 where the example was broken. */
  broken: bits,
  /** The class predicted for what was handed in; null where nothing was. */
  prediction: z.array(z.int().nullable()),
  /** The class aimed at; null where none was. */
  target: z.array(z.int().nullable()),
  /** Size of the perturbation found, also of one beyond eps; null where none misleads the model. */
  distance: z.array(z.number().nullable()),
  /** Passes spent on each row up to what counts. */
  forwards: z.array(z.int().nonnegative()),
  backwards: z.array(z.int().nonnegative()),
  seconds: z.number().nonnegative(),
})

const unitFieldsSchema = z.strictObject({
  schemaVersion: z.literal(1),
  id: sha256Schema,
  name: z.string(),
  restart: z.int().nonnegative(),
  rows: z.array(z.int().nonnegative()),
  outcomes: z.array(outcomeSchema),
  /** Labels of the rows; only of clean passes. */
  labels: z.array(z.int()).optional(),
  /** Passes spent on all rows together. */
  forwards: z.int().nonnegative(),
  backwards: z.int().nonnegative(),
  /** Misleading images that were not counted, by reason. */
  rejected: z.record(z.string(), z.int().positive()),
  /** Answers of the model that were not numbers. */
  nans: z.int().nonnegative(),
  /** What the warning checks measured, or the clean pass noticed. */
  findings: z.record(z.string(), z.number()),
  /** The file beside this one that holds the broken rows' perturbations, in the order of rows. */
  adversarial: z.strictObject({ sha256: sha256Schema, rows: z.array(z.int().nonnegative()) }).nullable(),
  seconds: z.number().nonnegative(),
  /** Processor that it ran on: bit-identity is promised for one type. */
  processor: z.string(),
})

/** A row that a list leaves out would count as one that stands: every list is as long as the rows. */
export const unitResultSchema = unitFieldsSchema.refine(
  ({ name, rows, outcomes, labels }) =>
    (outcomes.length > 0 || name === 'checks') &&
    (labels?.length === rows.length || name !== 'clean') &&
    outcomes.every(({ broken, prediction, target, distance, forwards, backwards }) =>
      [broken, prediction, target, distance, forwards, backwards].every(
        ({ length }) => length === rows.length,
      ),
    ),
  { error: 'every row needs its outcome' },
)

/**
 * Whether a stored result is that of a unit. The name of its file alone proves nothing: anyone can write a file.
 */
export const isResultOf = (result: UnitResult, unit: Unit, id: string): boolean =>
  result.id === id &&
  result.name === unitName(unit) &&
  result.restart === unit.restart &&
  result.rows.length === unit.rows.length &&
  result.rows.every((row, i) => row === unit.rows[i])

export type Outcome = z.infer<typeof outcomeSchema>
export type UnitResult = z.infer<typeof unitResultSchema>
