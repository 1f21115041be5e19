import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ZooError } from '../manifests/error.ts'
import { silent } from '../manifests/progress.ts'
import { type Evaluation, finish } from './protocol/finish.ts'
import { openLedger } from './protocol/ledger.ts'
import type { Plan } from './protocol/plan.ts'
import { differences } from './protocol/same-plan.ts'
import { unitName } from './protocol/unit.ts'
import { walk } from './protocol/walk.ts'

/**
 * Joins the ledgers of an evaluation's shards in `out` and adds up. What `out` holds already counts too.
 *
 * @throws ZooError `conflict` where the ledgers hold different plans or a shard is missing, `not-found` for a folder
 * without a plan
 */
export async function mergeLedgers(dirs: readonly string[], out: string): Promise<Evaluation> {
  const plans = await Promise.all(dirs.map(planIn))
  const [first] = plans
  if (!first) throw new ZooError('usage', 'no ledgers to merge')
  for (const [i, plan] of plans.entries()) {
    const differing = differences(first.protocol, plan.protocol)
    if (differing.length > 0)
      throw new ZooError(
        'conflict',
        `${dirs[0]} and ${dirs[i]} hold different plans; they differ in ${differing.join(', ')}`,
      )
  }
  const ledger = openLedger(out)
  const own = await ledger.plan()
  if (own && own.digest !== first.digest)
    throw new ZooError('conflict', `${out} holds another evaluation`, { hint: 'choose another --out' })
  for (const dir of dirs) await copyUnits(dir, out)
  const whole: Plan = { ...first, shard: null }
  await ledger.writePlan(whole)
  const walked = await walk(
    whole,
    ledger,
    (unit) => {
      throw new ZooError(
        'conflict',
        `${unitName(unit)} on images ${unit.rows[0]} to ${unit.rows.at(-1)} is in none of the ledgers`,
        { hint: 'give the ledgers of all shards; finish one by running its command again' },
      )
    },
    silent,
  )
  return finish(whole, ledger, walked)
}

async function planIn(dir: string): Promise<Plan> {
  const plan = await openLedger(dir).plan()
  if (!plan) throw new ZooError('not-found', `${dir} holds no evaluation`)
  return plan
}

/** Units are named by what determines them: where two ledgers have one, either copy will do. Results come last. */
async function copyUnits(from: string, to: string): Promise<void> {
  const source = join(from, 'units')
  const target = join(to, 'units')
  await mkdir(target, { recursive: true })
  const files = await readdir(source).catch(() => [])
  const order = (file: string) => Number(file.endsWith('.json'))
  for (const file of files.sort((a, b) => order(a) - order(b)))
    if (/^[0-9a-f]{64}\.(json|adv)$/.test(file)) await copyFile(join(source, file), join(target, file))
}
