import { cpus } from 'node:os'
import type { DataSet } from '../../converters/data/dataset.ts'
import { NORMS } from '../../converters/perturb/norms.ts'
import { keyOf } from '../../converters/perturb/random.ts'
import type { Task } from '../attacks/attack.ts'
import { averaged } from '../attacks/eot.ts'
import { attackOf } from '../attacks/table.ts'
import { encodePerturbations } from './adversarial.ts'
import { type Books, END, type Entry, keepBooks } from './books.ts'
import { sha256 } from './canonical.ts'
import { runChecks } from './checks.ts'
import { type Block, readExamples } from './examples.ts'
import type { AttackedModel } from './model.ts'
import type { Protocol } from './plan.ts'
import { type Outcome, type Unit, type UnitResult, unitId, unitName } from './unit.ts'

/** What a process needs at hand to do units of one plan. */
export interface Workshop {
  readonly protocol: Protocol
  readonly data: DataSet
  readonly model: AttackedModel
  /** The model that a transfer attack takes its gradients from, by how the battery calls it. */
  source(name: string): Promise<AttackedModel>
}

export interface Finished {
  readonly result: UnitResult
  /** The file that belongs beside the result, if anything was broken. */
  readonly adversarial: Uint8Array | null
}

/** Does one unit. The same unit of the same plan gives the same result, whatever was done before. */
export async function runUnit(unit: Unit, workshop: Workshop): Promise<Finished> {
  const began = performance.now()
  const { protocol, data, model } = workshop
  const { work, restart, rows } = unit
  const purpose = keyOf(typeof work === 'string' ? work : work.name)
  const block = await readExamples(data, rows, protocol, model, (index) => [
    protocol.seed,
    purpose,
    index,
    restart,
  ])
  const restarts = typeof work === 'string' ? 1 : work.restarts
  const task: Task = {
    examples: block.examples,
    norm: NORMS[protocol.threat.norm],
    shape: model.shape,
    classes: model.classes,
    turn: Math.floor(restart / restarts),
    restart: restart % restarts,
    stopWhenBroken: protocol.battery.aggregation === 'worst-case',
  }
  const source =
    typeof work === 'object' && 'source' in work && work.source ? await workshop.source(work.source) : model
  const books = keepBooks(task, model, source)

  let findings: Record<string, number> = {}
  if (work === 'clean') await books.submit(block.examples.map((example) => ({ example, x: example.origin })))
  else if (work === 'checks') findings = await runChecks(task, books, protocol)
  else await attackOf(work)(task, 'eot' in work ? averaged(books, work.eot) : books)

  return finish(unit, block, books, { protocol, findings, seconds: (performance.now() - began) / 1000 })
}

function finish(
  unit: Unit,
  { labels }: Block,
  books: Books,
  { protocol, findings, seconds }: { protocol: Protocol; findings: Record<string, number>; seconds: number },
): Finished {
  const { work, restart, rows } = unit
  const checkpoints = [...books.entries.keys()].sort((a, b) => a - b)
  const scored = work !== 'checks'
  const outcomes = (checkpoints.length > 0 ? checkpoints : [END]).map((checkpoint) =>
    outcomeAt(checkpoint, rows.length, books, seconds),
  )
  const kept = work === 'clean' || !scored ? undefined : books.entries.get(checkpoints.at(-1) ?? END)
  const broken = rows.flatMap((_, row) => {
    const entry = kept?.get(row)
    return entry?.verdict.broken ? [{ row, steps: entry.exhibit.steps }] : []
  })
  const adversarial = broken.length > 0 ? encodePerturbations(broken.map(({ steps }) => steps)) : null
  return {
    result: {
      schemaVersion: 1,
      id: unitId(unit, protocol),
      name: unitName(unit),
      restart,
      rows: [...rows],
      outcomes: scored ? outcomes : [],
      ...(work === 'clean' && { labels }),
      forwards: total(books.forwards),
      backwards: total(books.backwards),
      rejected: Object.fromEntries(books.rejected),
      nans: books.nans,
      findings,
      adversarial: adversarial && { sha256: sha256(adversarial), rows: broken.map(({ row }) => rows[row]!) },
      seconds,
      processor: cpus()[0]?.model ?? process.arch,
    },
    adversarial,
  }
}

function outcomeAt(checkpoint: number, rows: number, books: Books, seconds: number): Outcome {
  const entries = books.entries.get(checkpoint)
  const column = <T>(read: (entry: Entry) => T): (T | null)[] =>
    Array.from({ length: rows }, (_, row) => {
      const entry = entries?.get(row)
      return entry ? read(entry) : null
    })
  /** What was spent up to the entry where that is all it took; else everything that was spent on the row. */
  const spent = (kind: 'forwards' | 'backwards') =>
    column((entry) => (entry.verdict.broken || checkpoint !== END ? entry[kind] : null)).map(
      (passes, row) => passes ?? books[kind][row]!,
    )
  return {
    checkpoint,
    broken: column((entry) => entry.verdict.broken)
      .map((broken) => (broken ? '1' : '0'))
      .join(''),
    prediction: column((entry) => entry.verdict.prediction),
    target: column((entry) => entry.target),
    distance: column((entry) => (entry.verdict.misclassified ? entry.exhibit.distance : null)),
    forwards: spent('forwards'),
    backwards: spent('backwards'),
    seconds:
      checkpoint === END ? seconds : Math.max(0, ...column((entry) => entry.seconds).map((s) => s ?? 0)),
  }
}

const total = (passes: Float64Array): number => passes.reduce((sum, count) => sum + count, 0)
