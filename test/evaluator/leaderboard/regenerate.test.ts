import { type ChildProcess, spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Matrix } from '../../../evaluator/leaderboard/matrix.ts'
import type { Regenerated } from '../../../evaluator/leaderboard/regenerate.ts'
import { packageRoot } from '../../../manifests/package.ts'
import type { ExampleRow } from '../../../manifests/schema/result.ts'
import { writeTinyBattery, writeTinyData, writeTinyModel } from './tiny.ts'

let base: string
let plan: string

const TRACK = { dataset: 'quarters.npz', battery: 'tiny.json', norm: 'linf', eps: 0.06, images: 64 }
const writePlan = (models: readonly string[]) =>
  writeFileSync(
    plan,
    JSON.stringify({
      schemaVersion: 1,
      tracks: [TRACK],
      models: models.map((model) => ({ model, dataset: 'quarters.npz' })),
    }),
  )

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'zoo-regenerate-'))
  plan = join(base, 'plan.json')
  writeTinyData(join(base, 'quarters.npz'), 80)
  writeTinyBattery(join(base, 'tiny.json'))
  await writeTinyModel(join(base, 'steady.onnx'), 0.01)
  await writeTinyModel(join(base, 'shaky.onnx'), 0.4)
  writePlan(['steady.onnx', 'shaky.onnx'])
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

/** Processes start slowly where many tests share few cores. */
const PATIENCE = 240_000

function zoo(...words: string[]): {
  child: ChildProcess
  done: Promise<{ code: number | null; out: string; err: string }>
} {
  const child = spawn(process.execPath, [join(packageRoot, 'zoo/bin.mjs'), ...words], {
    env: { ...process.env, ZOO_HOME: join(base, 'home'), ZOO_NO_PROGRESS: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const text = { out: '', err: '' }
  child.stdout!.on('data', (chunk) => {
    text.out += chunk
  })
  child.stderr!.on('data', (chunk) => {
    text.err += chunk
  })
  return { child, done: new Promise((resolve) => child.on('close', (code) => resolve({ code, ...text }))) }
}

async function regenerate(store: string, board: string, ...more: string[]): Promise<Regenerated> {
  const { code, out, err } = await zoo(...regenerateWords(store, board), ...more).done
  expect(code, err).toBe(0)
  return JSON.parse(out)
}

const regenerateWords = (store: string, board: string) => [
  ...['leaderboard', 'regenerate', plan, '--store', join(base, store), '--out', join(base, board)],
  ...['--jobs', '1', '--threads', '1', '--json'],
]

/** Units of all ledgers below a folder, with the time when each was written. */
const units = (store: string): Map<string, number> =>
  new Map(
    !existsSync(join(base, store))
      ? []
      : readdirSync(join(base, store), { recursive: true, encoding: 'utf8' })
          .filter((name) => /units\/[0-9a-f]+\.json$/.test(name))
          .map((name) => [name, statSync(join(base, store, name)).mtimeMs]),
  )

/** What every model's every image came to. */
const outcomes = (store: string, ids: readonly string[]): Record<string, ExampleRow[]> =>
  Object.fromEntries(
    ids.map((id) => [id, JSON.parse(readFileSync(join(base, store, id, 'examples.json'), 'utf8'))]),
  )

describe('zoo leaderboard regenerate', () => {
  it(
    'killed in the middle, finishes on the next run with the outcomes of an uninterrupted one',
    async () => {
      const whole = await regenerate('whole', 'whole-board')
      expect(whole.evaluated).toHaveLength(2)
      const total = units('whole').size

      const { child, done } = zoo(...regenerateWords('cut', 'cut-board'))
      while (units('cut').size < total / 2 && child.exitCode === null) await wait(5)
      child.kill('SIGKILL')
      await done
      const kept = units('cut')
      expect(kept.size).toBeGreaterThan(0)
      expect(kept.size).toBeLessThan(total)
      expect(existsSync(join(base, 'cut-board'))).toBe(false)

      const resumed = await regenerate('cut', 'cut-board')
      for (const [name, written] of kept) expect(units('cut').get(name), name).toBe(written)
      expect(outcomes('cut', whole.evaluated)).toEqual(outcomes('whole', whole.evaluated))
      expect(resumed.evaluated.length + resumed.kept.length).toBe(2)
      expect(
        resumed.board.tracks.map(({ document }) => document.entries.map(({ robust }) => robust)),
      ).toEqual(whole.board.tracks.map(({ document }) => document.entries.map(({ robust }) => robust)))
    },
    PATIENCE,
  )

  it(
    'evaluates nothing twice',
    async () => {
      const again = await regenerate('whole', 'whole-board')
      expect(again).toMatchObject({ evaluated: [], board: { version: 1, fresh: false } })
      // Nor where a repository kept what its store says is worth keeping.
      const ignored = readFileSync(join(base, 'whole', '.gitignore'), 'utf8')
      expect(ignored).toBe('*.adv\npictures.png\nreport.html\n')
      cpSync(join(base, 'whole'), join(base, 'committed'), {
        recursive: true,
        filter: (path) => !/\.adv$|pictures\.png$|report\.html$/.test(path),
      })
      cpSync(join(base, 'whole-board'), join(base, 'committed-board'), { recursive: true })
      const committed = await regenerate('committed', 'committed-board')
      expect(committed).toMatchObject({ evaluated: [], board: { version: 1, fresh: false } })
    },
    PATIENCE,
  )

  it(
    'takes parts that other machines evaluated for what is new, and says what moved',
    async () => {
      await writeTinyModel(join(base, 'wild.onnx'), 0.6)
      writePlan(['steady.onnx', 'shaky.onnx', 'wild.onnx'])
      const planned = await zoo(
        'leaderboard',
        'plan',
        plan,
        '--store',
        join(base, 'whole'),
        '--shards',
        '2',
        '--json',
      ).done
      const { include }: Matrix = JSON.parse(planned.out)
      expect(include.map((row) => row.arguments.at(-1))).toEqual(['1/2', '2/2'])
      for (const { part, arguments: words } of include) {
        const { code, err } = await zoo(
          'eval',
          ...words,
          '--jobs',
          '1',
          '--out',
          join(base, 'parts', `part-${part}`),
        ).done
        expect(code, err).toBe(0)
      }
      const grown = await regenerate('whole', 'whole-board', '--parts', join(base, 'parts'))
      expect(grown.evaluated).toHaveLength(1)
      expect(grown.kept).toHaveLength(2)
      expect(grown.board.version).toBe(2)
      expect(readFileSync(grown.board.changes!, 'utf8')).toContain('wild.onnx')
    },
    PATIENCE,
  )

  it(
    'passes its own check, and not with a number edited',
    async () => {
      const folder = join(base, 'whole', 'quarters.npz-linf-0.06-tiny-v1')
      const dir = join(folder, readdirSync(folder)[0]!)
      const check = () =>
        zoo('leaderboard', 'check', dir, '--data', join(base, 'quarters.npz'), '--images', '64', '--json')
          .done
      const verdicts = ({ out }: { out: string }) =>
        Object.fromEntries(
          JSON.parse(out)[0].findings.map(({ check, verdict }: Record<string, string>) => [check, verdict]),
        )
      // The battery is the test's own, so that one check must fail, and no other.
      expect(verdicts(await check())).toEqual({
        schema: 'passed',
        'ledger complete': 'passed',
        model: 'passed',
        battery: 'failed',
        data: 'passed',
        images: 'passed',
        seed: 'passed',
        'flags explained': 'passed',
        replay: 'passed',
        sample: 'passed',
      })
      const path = join(dir, 'result.json')
      const result = JSON.parse(readFileSync(path, 'utf8'))
      writeFileSync(path, JSON.stringify({ ...result, robust: { accuracy: 0.99, interval: [0.98, 1] } }))
      const edited = await check()
      expect(edited.code).toBe(3)
      expect(verdicts(edited)['ledger complete']).toBe('failed')
    },
    PATIENCE,
  )
})
