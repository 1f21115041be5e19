import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openData } from '../../../converters/data/open.ts'
import { evaluate } from '../../../evaluator/evaluate.ts'
import { type CheckOptions, checkSubmission } from '../../../evaluator/leaderboard/check.ts'
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
  options = { battery: () => battery, data: () => openData(data), replay: false, progress: silent }
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

/** The checks that failed, with their reasons. */
async function failures(dir: string, more: Partial<CheckOptions> = {}): Promise<Record<string, string>> {
  const report = await checkSubmission(dir, { images: 32, ...options, ...more })
  const failed = report.findings.filter(({ verdict }) => verdict === 'failed')
  expect(report.passed).toBe(failed.length === 0)
  return Object.fromEntries(failed.map(({ check, detail }) => [check, detail]))
}

describe('checkSubmission', () => {
  it('lets an honest evaluation pass', async () => {
    expect(await failures(copy(), { replay: true })).toEqual({})
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
    expect(Object.keys(await failures(copy(), { data: () => openData(data) }))).toEqual(['data'])
    const { battery } = options
    const newer = { ...battery('tiny')!, version: '2' }
    expect(await failures(copy(), { battery: () => newer })).toEqual({
      battery: 'battery tiny is at version 2, not 1',
    })
    expect(Object.keys(await failures(copy(), { battery: () => undefined }))).toEqual(['battery'])
    expect(await failures(copy(), { seed: 6 })).toEqual({ seed: 'the seed is 5; the board drew 6' })
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
    ])
  })

  it('says what is wrong with a folder that holds no evaluation', async () => {
    const { passed, findings } = await checkSubmission(base, options)
    expect(passed).toBe(false)
    expect(findings).toHaveLength(1)
  })
})
