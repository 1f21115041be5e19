import { type AttackEntry, scoreNames } from '../../manifests/schema/battery.ts'
import type { AttackResult, ExampleRow, Share } from '../../manifests/schema/result.ts'
import { isBounded } from '../attacks/table.ts'
import { wilson } from '../statistics/wilson.ts'
import { END } from './books.ts'
import type { Protocol } from './plan.ts'
import type { UnitResult } from './unit.ts'

/** The results of one block: its clean pass, then each attack's restarts. */
export interface BlockResults {
  readonly clean: UnitResult
  readonly attacks: readonly (readonly UnitResult[])[]
}

/** One attack, or one of the iterations that an attack is scored at, over all examples. */
export interface Column {
  readonly name: string
  readonly entry: AttackEntry
  readonly checkpoint: number
  /** By index in the data set: what it did to the examples that it was given. */
  readonly cells: ReadonlyMap<number, Cell>
  readonly seconds: number
  readonly forwards: number
  readonly backwards: number
}

export interface Cell {
  readonly broken: boolean
  /** Of the nearest misleading image, beyond eps too. */
  readonly distance: number | null
  /** Whether the target was reached; null without a target. */
  readonly onTarget: boolean | null
  readonly forwards: number
  readonly backwards: number
}

export interface Tally {
  readonly examples: ExampleRow[]
  readonly columns: readonly Column[]
  readonly attacks: AttackResult[]
}

export const share = (successes: number, total: number): Share => ({
  accuracy: successes / total,
  interval: wilson(successes, total),
})

/** Adds up the results of all blocks. */
export function tally(protocol: Protocol, blocks: readonly BlockResults[]): Tally {
  const columns = protocol.attacks.flatMap((entry, n) =>
    columnsOf(
      entry,
      blocks.map(({ attacks }) => attacks[n] ?? []),
    ),
  )
  const worstCase = protocol.battery.aggregation === 'worst-case'
  const { decisive } = protocol.battery
  const deciding = decisive === undefined ? columns : columns.filter(({ name }) => name === decisive)
  const examples = blocks
    .flatMap(({ clean }) =>
      clean.rows.map((index, i) => exampleRow(clean, index, i, columns, deciding, worstCase)),
    )
    .sort((a, b) => a.index - b.index)
  return { examples, columns, attacks: attackResults(columns, examples, worstCase) }
}

/** Where an attack is scored: at its end, or at iterations that its battery names. */
const checkpointsOf = (entry: AttackEntry): number[] =>
  entry.kind === 'pgd' && entry.score === 'final' ? [entry.iterations].flat() : [END]

/** An attack's columns: one for each checkpoint, with its restarts joined. */
function columnsOf(entry: AttackEntry, blocks: readonly (readonly UnitResult[])[]): Column[] {
  const units = blocks.flat()
  const names = scoreNames(entry)
  return checkpointsOf(entry).map((checkpoint, n) => {
    const cells = new Map<number, Cell>()
    let seconds = 0
    for (const unit of units) {
      const outcome = unit.outcomes.find((candidate) => candidate.checkpoint === checkpoint)
      if (!outcome) continue
      seconds += outcome.seconds
      for (const [i, index] of unit.rows.entries()) {
        const target = outcome.target[i]
        const found: Cell = {
          broken: outcome.broken[i] === '1',
          distance: outcome.distance[i] ?? null,
          onTarget: target == null ? null : outcome.prediction[i] === target,
          forwards: outcome.forwards[i]!,
          backwards: outcome.backwards[i]!,
        }
        cells.set(index, joined(cells.get(index), found))
      }
    }
    const total = (kind: 'forwards' | 'backwards') =>
      [...cells.values()].reduce((sum, cell) => sum + cell[kind], 0)
    return {
      name: names[n]!,
      entry,
      checkpoint,
      cells,
      seconds,
      forwards: total('forwards'),
      backwards: total('backwards'),
    }
  })
}

/** What two restarts did to the same example. */
function joined(a: Cell | undefined, b: Cell): Cell {
  if (!a) return b
  return {
    broken: a.broken || b.broken,
    distance: nearer(a.distance, b.distance),
    onTarget: a.onTarget === null ? b.onTarget : a.onTarget || b.onTarget === true,
    forwards: a.forwards + b.forwards,
    backwards: a.backwards + b.backwards,
  }
}

const nearer = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.min(a, b)

function exampleRow(
  clean: UnitResult,
  index: number,
  position: number,
  columns: readonly Column[],
  deciding: readonly Column[],
  worstCase: boolean,
): ExampleRow {
  const correct = clean.outcomes[0]!.broken[position] === '0'
  const breakers = deciding.filter(({ cells }) => cells.get(index)?.broken)
  const distanceBy = ({ cells }: Column) => cells.get(index)!.distance!
  /** Of several, which only `each` has, the one that came nearest; the first of equals. */
  const nearest = breakers.reduce<Column | undefined>(
    (best, column) => (best && distanceBy(best) <= distanceBy(column) ? best : column),
    undefined,
  )
  const robust = !nearest && (correct || !worstCase)
  const spent = (kind: 'forwards' | 'backwards') => {
    // Checkpoints of one walk count what came before them: only the last is the walk's price.
    const prices = new Map(columns.map(({ entry, cells }) => [entry, cells.get(index)?.[kind] ?? 0]))
    return [...prices.values()].reduce((sum, price) => sum + price, 0)
  }
  return {
    index,
    label: clean.labels![position]!,
    clean: correct,
    robust,
    brokenBy: robust ? null : correct ? nearest!.name : 'clean',
    norm: robust ? null : correct ? distanceBy(nearest!) : 0,
    forwards: clean.outcomes[0]!.forwards[position]! + spent('forwards'),
    backwards: spent('backwards'),
  }
}

function attackResults(
  columns: readonly Column[],
  examples: readonly ExampleRow[],
  worstCase: boolean,
): AttackResult[] {
  const total = examples.length
  const fallen = new Set(worstCase ? examples.filter(({ clean }) => !clean).map(({ index }) => index) : [])
  return columns.map((column) => {
    const { name, entry, checkpoint, cells, seconds, forwards, backwards } = column
    const broken = [...cells].filter(([, cell]) => cell.broken).map(([index]) => index)
    if (worstCase) for (const index of broken) fallen.add(index)
    const left = total - (worstCase ? fallen.size : broken.length)
    const aimed = [...cells.values()].filter(({ onTarget }) => onTarget !== null)
    const { accuracy, interval } = share(left, total)
    const iterations =
      checkpoint || ('iterations' in entry && !Array.isArray(entry.iterations) ? entry.iterations : 0)
    return {
      name,
      robustAccuracy: accuracy,
      interval,
      ...(checkpoint > 0 &&
        aimed.length > 0 && { targetRate: aimed.filter(({ onTarget }) => onTarget).length / total }),
      ...(!worstCase && !isBounded(entry) && { medianNorm: medianNorm(column, examples) }),
      ...(iterations > 0 && { iterations }),
      seconds,
      forwards,
      backwards,
    }
  })
}

/** The median over all examples of the smallest misleading perturbation; 0 for those misclassified without one. */
function medianNorm({ cells }: Column, examples: readonly ExampleRow[]): number | null {
  const sizes = examples
    .map(({ index, clean }) => (clean ? (cells.get(index)?.distance ?? Number.POSITIVE_INFINITY) : 0))
    .sort((a, b) => a - b)
  const median = sizes[(sizes.length - 1) >> 1]!
  return Number.isFinite(median) ? median : null
}
