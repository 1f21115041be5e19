import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { evaluate } from '../../../evaluator/evaluate.ts'
import { type CheckOptions, checkSubmission } from '../../../evaluator/leaderboard/check.ts'
import { encodePerturbations } from '../../../evaluator/protocol/adversarial.ts'
import { finish } from '../../../evaluator/protocol/finish.ts'
import { openLedger } from '../../../evaluator/protocol/ledger.ts'
import { type Protocol, protocolDigest } from '../../../evaluator/protocol/plan.ts'
import { type UnitResult, unitId, unitName } from '../../../evaluator/protocol/unit.ts'
import { walk } from '../../../evaluator/protocol/walk.ts'
import { readBattery } from '../../../manifests/batteries/read.ts'
import { silent } from '../../../manifests/progress.ts'
import { sha256 } from './synthetic.ts'
import { writeTinyBattery, writeTinyData, writeTinyModel } from './tiny.ts'

let base: string
let options: CheckOptions

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'zoo-check-'))
  const data = writeTinyData(join(base, 'quarters.npz'), 40)
  const battery = readBattery(writeTinyBattery(join(base, 'tiny.json')))
  const path = await writeTinyModel(join(base, 'shaky.onnx'), 0.4)
  options = { battery: () => battery, data: async () => data, replay: false, sample: 0, progress: silent }
  await evaluate(
    {
      model: { name: 'shaky', path, sha256: sha256Of(path) },
      data,
      battery,
      norm: 'linf',
      eps: 0.06,
      limit: 32,
      seed: 5,
      provider: 'cpu',
      jobs: 1,
      threads: 1,
      out: join(base, 'ledger'),
    },
    silent,
  )
}, 120_000)
afterAll(() => rmSync(base, { recursive: true, force: true }))

const sha256Of = (path: string) => sha256(readFileSync(path))

let count = 0
/** A copy of the ledger that may be spoilt. */
function copy(spoil: (dir: string) => void = () => {}): string {
  const dir = join(base, `copy-${count++}`)
  cpSync(join(base, 'ledger'), dir, { recursive: true })
  spoil(dir)
  return dir
}

const edit = (path: string, change: (document: never) => object) =>
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')) as never)))

const readUnits = (dir: string): UnitResult[] =>
  readdirSync(join(dir, 'units'))
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(dir, 'units', name), 'utf8')))

const emptied = { prediction: [], target: [], distance: [], forwards: [], backwards: [] }

/** A ledger that is whole in itself, of units that never ran: the honest clean pass, and what `change` makes of it. */
async function invent(
  change: (result: UnitResult) => UnitResult,
  replan: (protocol: Protocol) => Protocol = (protocol) => protocol,
): Promise<string> {
  const honest = readUnits(join(base, 'ledger')).filter(({ name }) => name === 'clean')
  const ledger = openLedger(join(base, `copy-${count++}`))
  const stored = (await openLedger(join(base, 'ledger')).plan())!
  const protocol = replan(stored.protocol)
  const plan = { ...stored, protocol, digest: protocolDigest(protocol) }
  await ledger.writePlan(plan)
  const walked = await walk(
    plan,
    ledger,
    async (unit) => {
      const id = unitId(unit, protocol)
      const pass = honest.find(({ rows }) => rows.includes(unit.rows[0]!))!
      const kept = unit.rows.map((row) => pass.rows.indexOf(row))
      const pick = <T>(values: readonly T[]): T[] => kept.map((i) => values[i]!)
      const [outcome] = pass.outcomes
      const result = change({
        ...pass,
        id,
        name: unitName(unit),
        restart: unit.restart,
        rows: [...unit.rows],
        labels: pick(pass.labels!),
        outcomes: [
          {
            ...outcome!,
            broken: pick([...outcome!.broken]).join(''),
            prediction: pick(outcome!.prediction),
            target: pick(outcome!.target),
            distance: pick(outcome!.distance),
            forwards: pick(outcome!.forwards),
            backwards: pick(outcome!.backwards),
          },
        ],
      })
      await ledger.write({ result, adversarial: null })
      return result
    },
    silent,
  )
  await finish(plan, ledger, walked)
  return ledger.dir
}

/** The checks that failed, with their reasons. */
async function failures(dir: string, more: Partial<CheckOptions> = {}): Promise<Record<string, string>> {
  const report = await checkSubmission(dir, { images: 32, ...options, ...more })
  const failed = report.findings.filter(({ verdict }) => verdict === 'failed')
  expect(report.passed).toBe(failed.length === 0)
  return Object.fromEntries(failed.map(({ check, detail }) => [check, detail]))
}

describe('checkSubmission', () => {
  it('lets an honest evaluation pass', async () => {
    expect(await failures(copy(), { replay: true, sample: 32 })).toEqual({})
  })

  it('finds a unit that is missing, or was evaluated for something else', async () => {
    const missing = copy((dir) =>
      rmSync(join(dir, 'units', readdirSync(join(dir, 'units')).find((name) => name.endsWith('.json'))!)),
    )
    expect((await failures(missing))['ledger complete']).toContain('is missing')
    const other = copy((dir) =>
      edit(join(dir, 'plan.json'), (plan: { digest: string }) => ({ ...plan, digest: sha256('other') })),
    )
    expect((await failures(other))['ledger complete']).toContain('not of the same evaluation')
  })

  it('finds outcomes that were flattered', async () => {
    const flattered = copy((dir) =>
      edit(join(dir, 'examples.json'), (rows: { robust: boolean }[]) =>
        rows.map((row) => ({ ...row, robust: true })),
      ),
    )
    expect(await failures(flattered)).toEqual({
      'ledger complete': "the units don't add up to the outcomes that examples.json claims",
    })
  })

  it('finds another model, other data, another battery, another seed, too few images', async () => {
    const other = await writeTinyModel(join(base, 'other.onnx'), 0.1)
    expect(Object.keys(await failures(copy(), { model: other }))).toEqual(['model'])
    const data = writeTinyData(join(base, 'others.npz'), 36)
    expect(Object.keys(await failures(copy(), { data: async () => data }))).toEqual(['data'])
    const { battery } = options
    const newer = { ...battery('tiny')!, version: '2' }
    expect(await failures(copy(), { battery: () => newer })).toEqual({
      battery: 'battery tiny is at version 2, not 1',
    })
    expect(Object.keys(await failures(copy(), { battery: () => undefined }))).toEqual(['battery'])
    expect(await failures(copy(), { seed: 6 })).toEqual({ seed: 'the seed is 5; the board drew 6' })
    const reseeded = copy((dir) =>
      edit(join(dir, 'result.json'), (result: object) => ({ ...result, seed: 6 })),
    )
    expect(Object.keys(await failures(reseeded, { seed: 6 }))).toEqual(['ledger complete'])
    expect(Object.keys(await failures(copy(), { images: undefined }))).toEqual(['images'])
  })

  it('replays stored images with the model that is handed in', async () => {
    const other = await writeTinyModel(join(base, 'sturdy.onnx'), 0)
    expect((await failures(copy(), { model: other, replay: true })).replay).toMatch(
      /^\d+ of \d+ stored images give another outcome/,
    )
    const bare = copy((dir) => {
      for (const name of readdirSync(join(dir, 'units')))
        if (name.endsWith('.adv')) rmSync(join(dir, 'units', name))
    })
    expect(Object.keys(await failures(bare, { replay: true }))).toEqual(['replay'])
  })

  it('finds a stored image that lies outside the ball', async () => {
    const far = copy((dir) => {
      const unit = readUnits(dir).find(({ adversarial }) => adversarial)!
      const steps = unit.adversarial!.rows.map(() => new Int32Array(16).fill(1 << 22))
      const bytes = encodePerturbations(steps)
      writeFileSync(join(dir, 'units', `${unit.id}.adv`), bytes)
      edit(join(dir, 'units', `${unit.id}.json`), (result: UnitResult) => ({
        ...result,
        adversarial: { ...result.adversarial, sha256: sha256(bytes) },
      }))
    })
    expect((await failures(far, { replay: true })).replay).toContain('outside the ball')
  })

  it('finds a unit that leaves rows out, or was put in the place of another', async () => {
    const [unit] = readUnits(join(base, 'ledger')).filter(({ name }) => name === 'pgd-ce')
    const shorter = copy((dir) =>
      edit(join(dir, 'units', `${unit!.id}.json`), (result: UnitResult) => ({
        ...result,
        outcomes: result.outcomes.map((outcome) => ({ ...outcome, broken: '' })),
      })),
    )
    expect((await failures(shorter))['ledger complete']).toContain('every row needs its outcome')
    const empty = copy((dir) =>
      edit(join(dir, 'units', `${unit!.id}.json`), (result: UnitResult) => ({
        ...result,
        rows: [],
        outcomes: result.outcomes.map((outcome) => ({ ...outcome, broken: '', ...emptied })),
      })),
    )
    expect((await failures(empty))['ledger complete']).toContain('not the result of that unit')
  })

  it('attacks images again of which every unit says that they stand', async () => {
    const invented = await invent((result) => ({
      ...result,
      outcomes: result.outcomes.map((outcome) => ({ ...outcome, broken: '0'.repeat(result.rows.length) })),
      adversarial: null,
    }))
    expect(await failures(invented, { replay: true })).toEqual({})
    expect(await failures(invented, { replay: true, sample: 32 })).toEqual({
      sample: expect.stringMatching(/^of 32 images that are said to stand, .* breaks \d+: image \d+ is one$/),
    })
  })

  it('classifies the unperturbed images again', async () => {
    // One in eight is said to be misclassified, whoever may gain by it.
    const invented = await invent((result) => ({
      ...result,
      outcomes: result.outcomes.map((outcome) => ({
        ...outcome,
        broken: result.rows.map((row) => Number(row % 8 === 0)).join(''),
      })),
      adversarial: null,
    }))
    expect(await failures(invented, { sample: 1 })).toEqual({
      sample: expect.stringMatching(/^4 of 32 images have another clean outcome/),
    })
  })

  it('finds a plan that leaves attacks out', async () => {
    const shortened = await invent(
      (result) => ({ ...result, adversarial: null }),
      (protocol) => ({ ...protocol, attacks: protocol.attacks.slice(0, 1) }),
    )
    expect(await failures(shortened, { sample: 32 })).toEqual({
      sample: 'plan.json is not what the zoo makes of this model, data and battery: attacks differ',
    })
  })

  it('asks for a word on each flag', async () => {
    const flag = { name: 'zero-gradients', reason: 'seen' }
    const flagged = copy((dir) =>
      edit(join(dir, 'result.json'), (result: object) => ({ ...result, flags: [flag] })),
    )
    expect((await failures(flagged))['flags explained']).toContain('zero-gradients')
    const explanations = { 'zero-gradients': 'The images in question are blank.' }
    writeFileSync(join(flagged, 'submission.json'), JSON.stringify({ schemaVersion: 1, explanations }))
    expect(await failures(flagged)).not.toHaveProperty('flags explained')
  })

  it('skips what it was not given the means for, and says so', async () => {
    const { findings } = await checkSubmission(copy(), {
      ...options,
      images: 32,
      data: undefined,
      replay: false,
    })
    expect(findings.filter(({ verdict }) => verdict === 'skipped').map(({ check }) => check)).toEqual([
      'data',
      'replay',
      'sample',
    ])
  })

  it('says what is wrong with a folder that holds no evaluation', async () => {
    const { passed, findings } = await checkSubmission(base, options)
    expect(passed).toBe(false)
    expect(findings).toHaveLength(1)
  })
})
