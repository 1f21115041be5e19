import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic, writeJsonAtomic } from '../../manifests/atomic.ts'
import { ZooError } from '../../manifests/error.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import { sha256 } from './canonical.ts'
import { type Plan, planSchema } from './plan.ts'
import type { Finished } from './run-unit.ts'
import { type UnitResult, unitResultSchema } from './unit.ts'

/**
 * The folder of an evaluation:
 *
 * ```
 * plan.json        what is evaluated, how, on which examples; made once
 * units/ID.json    one per finished unit, named by the hash of everything that determines its result
 * units/ID.adv     perturbations of the examples that the unit broke (see adversarial.ts)
 * result.json      the answer, when all units are done
 * examples.json    the outcome of every example
 * report.html      the same for people
 * ```
 *
 * Every file is written whole or not at all, a unit's perturbations before its result. So a run may stop anywhere:
 * what is there is finished, and the same plan finds it again by its name.
 */
export interface Ledger {
  readonly dir: string
  plan(): Promise<Plan | null>
  writePlan(plan: Plan): Promise<void>
  /** A unit's result if it is finished; its perturbations may have been left out, as in a repository. */
  find(id: string): Promise<UnitResult | null>
  /** A unit's result if it is finished and nothing that belongs to it is missing. */
  findWhole(id: string): Promise<UnitResult | null>
  write(finished: Finished): Promise<void>
  /** A finished unit's perturbations, checked against their digest. */
  adversarial(result: UnitResult): Promise<Uint8Array>
}

export function openLedger(dir: string): Ledger {
  const unit = (id: string, extension: string) => join(dir, 'units', `${id}.${extension}`)
  const find = async (id: string): Promise<UnitResult | null> => {
    const document = await readJson(unit(id, 'json'))
    return document === null ? null : parseAs(unitResultSchema, document, unit(id, 'json'))
  }
  return {
    dir,
    async plan() {
      const document = await readJson(join(dir, 'plan.json'))
      return document === null ? null : parseAs(planSchema, document, join(dir, 'plan.json'))
    },

    writePlan: (plan) => writeJsonAtomic(join(dir, 'plan.json'), plan),

    find,

    async findWhole(id) {
      const result = await find(id)
      return result?.adversarial && !existsSync(unit(id, 'adv')) ? null : result
    },

    async write({ result, adversarial }) {
      if (adversarial) await writeFileAtomic(unit(result.id, 'adv'), adversarial)
      await writeFileAtomic(unit(result.id, 'json'), `${JSON.stringify(result)}\n`)
    },

    async adversarial(result) {
      const path = unit(result.id, 'adv')
      const bytes = await readFile(path).catch((error) => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        throw new ZooError('not-found', `the images that ${result.name} broke are missing: ${path}`, {
          hint: 'a repository may leave them out; evaluating again in another folder finds them again',
        })
      })
      if (sha256(bytes) !== result.adversarial?.sha256)
        throw new ZooError('integrity', `${path} is not what was written`, {
          hint: 'remove it and its .json, and run the same evaluation again',
        })
      return bytes
    },
  }
}

async function readJson(path: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ZooError('integrity', `${path} is damaged`, {
      hint: 'remove it and run the same evaluation again',
      cause: error,
    })
  }
}
