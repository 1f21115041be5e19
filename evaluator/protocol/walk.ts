import { ZooError } from '../../manifests/error.ts'
import type { Progress } from '../../manifests/progress.ts'
import { turnsOf } from '../attacks/table.ts'
import type { BlockResults } from './aggregate.ts'
import type { Ledger } from './ledger.ts'
import { blocksOf, type Plan } from './plan.ts'
import { attackBlock, checksUnit, cleanUnit, type Run } from './schedule.ts'
import { isResultOf, type UnitResult, unitId } from './unit.ts'

export interface Walked {
  readonly blocks: readonly BlockResults[]
  readonly checks: UnitResult | null
}

/**
 * Walks through all units of a plan, blocks side by side: what the ledger has is read, what it lacks `run` does.
 * The clean pass over everything comes first, so that data and model that don't fit are found before hours are spent.
 *
 * @throws ZooError `integrity` where a stored result is another unit's, and what `run` throws
 */
export async function walk(plan: Plan, ledger: Ledger, run: Run, progress: Progress): Promise<Walked> {
  const { protocol } = plan
  const blocks = blocksOf(plan)
  const report = reporter(plan, blocks.length, progress)
  const find: Run = async (unit) => {
    const id = unitId(unit, protocol)
    const known = await ledger.find(id)
    if (known && !isResultOf(known, unit, id))
      throw new ZooError('integrity', `units/${id}.json in ${ledger.dir} is not the result of that unit`, {
        hint: 'remove it and run the same evaluation again',
      })
    if (known) return known
    const result = await run(unit)
    report.computed(result.forwards)
    return result
  }
  const clean = await Promise.all(blocks.map(async (rows) => report.clean(await find(cleanUnit(rows)))))
  const checks = protocol.battery.checks > 0 && blocks[0]?.[0] === 0 ? await find(checksUnit(protocol)) : null
  const attacked = await Promise.all(
    clean.map(async (result) => {
      const attacks = await attackBlock(protocol, result, async (unit) => report.unit(await find(unit)))
      report.block()
      return { clean: result, attacks }
    }),
  )
  return { blocks: attacked, checks }
}

/** Tells how far the walk is. Units of a block that falls early are never done, so progress counts blocks by their shares. */
function reporter(plan: Plan, blocks: number, progress: Progress) {
  const { protocol } = plan
  const perBlock = protocol.attacks.reduce(
    (sum, entry) => sum + entry.restarts * turnsOf(entry, protocol.classes),
    0,
  )
  const began = performance.now()
  let clean = 0
  let correct = 0
  let images = 0
  let fallen = 0
  let done = 0
  let finishedBlocks = 0
  const perSecond = () => Math.round((1000 * images) / (performance.now() - began))
  return {
    /** What was found in the ledger says nothing about the speed. */
    computed(forwards: number): void {
      images += forwards
    },
    clean(result: UnitResult): UnitResult {
      clean += result.rows.length
      correct += count(result.outcomes[0]!.broken, '0')
      progress({
        stage: 'clean accuracy',
        done: clean,
        total: blocksOf(plan).reduce((sum, rows) => sum + rows.length, 0),
        unit: 'images',
        figures: { clean: correct / clean },
      })
      return result
    },
    unit(result: UnitResult): UnitResult {
      done++
      fallen += count(result.outcomes.at(-1)!.broken, '1')
      const figures = {
        unit: result.name,
        ...(protocol.battery.aggregation === 'worst-case' && { robust: (correct - fallen) / clean }),
        'images/s': perSecond(),
      }
      progress({
        stage: `attack ${protocol.battery.id}`,
        done,
        total: blocks * perBlock,
        unit: 'units',
        milestone: true,
        figures,
      })
      return result
    },
    block(): void {
      finishedBlocks++
      done = Math.max(done, finishedBlocks * perBlock)
    },
  }
}

const count = (text: string, digit: string): number => text.split(digit).length - 1
