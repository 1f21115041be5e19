import { isBounded, turnsOf } from '../attacks/table.ts'
import type { Protocol } from './plan.ts'
import type { Unit, UnitResult } from './unit.ts'

/** Does a unit, or finds its result. */
export type Run = (unit: Unit) => Promise<UnitResult>

/** Rows that an outcome of the unit left standing. */
const standingAfter = ({ rows, outcomes }: UnitResult): number[] =>
  rows.filter((_, i) => outcomes.at(-1)!.broken[i] === '0')

export const cleanUnit = (rows: readonly number[]): Unit => ({ work: 'clean', restart: 0, rows })

/** The warning checks look at the first examples of the data set. */
export const checksUnit = ({ battery, block, examples }: Protocol): Unit => ({
  work: 'checks',
  restart: 0,
  rows: Array.from({ length: Math.min(battery.checks, block, examples) }, (_, i) => i),
})

/**
 * The attacks on one block, one unit after the other, since what a unit is given depends on what the last one left:
 * under `worst-case` an attack gets the examples that still stand, under `each` all of them, and a restart or target
 * those that the attack has not broken yet; but under `each` an attack that looks for the smallest perturbation gets all
 * of them every time, for the next target may be nearer. The sequence follows from the plan and the results alone, so
 * whoever walks it again, to resume or to add up, meets the same units.
 */
export async function attackBlock(protocol: Protocol, clean: UnitResult, run: Run): Promise<UnitResult[][]> {
  const { attacks, battery } = protocol
  const results: UnitResult[][] = []
  const worstCase = battery.aggregation === 'worst-case'
  let standing = worstCase ? standingAfter(clean) : clean.rows
  for (const work of attacks) {
    const own: UnitResult[] = []
    let rows = standing
    const rounds = work.restarts * turnsOf(work, protocol.classes)
    for (let restart = 0; restart < rounds && rows.length > 0; restart++) {
      const result = await run({ work, restart, rows })
      own.push(result)
      if (worstCase || isBounded(work)) rows = standingAfter(result)
    }
    results.push(own)
    if (worstCase) standing = rows
  }
  return results
}
