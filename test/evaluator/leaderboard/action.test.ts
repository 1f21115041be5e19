import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { packageRoot } from '../../../manifests/package.ts'
import { writeTinyBattery, writeTinyData, writeTinyModel } from './tiny.ts'

const read = (path: string) => readFileSync(join(packageRoot, path), 'utf8')
const example = read('docs/examples/robustness.yml')
const action = read('.github/actions/evaluate/action.yml')

let base: string
beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'zoo-action-'))
  writeTinyData(join(base, 'quarters.npz'), 48)
  writeTinyBattery(join(base, 'tiny.json'))
  await writeTinyModel(join(base, 'steady.onnx'), 0.01)
  await writeTinyModel(join(base, 'shaky.onnx'), 0.6)
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

/** Runs the action's script as its composite step does: inputs come as environment variables. */
function evaluate(inputs: Record<string, string>) {
  return spawnSync(join(packageRoot, '.github/actions/evaluate/evaluate.sh'), {
    cwd: base,
    encoding: 'utf8',
    env: {
      ...process.env,
      ZOO_NO_PROGRESS: '1',
      GITHUB_STEP_SUMMARY: join(base, 'summary.md'),
      GITHUB_OUTPUT: join(base, 'output.txt'),
      DATA: 'quarters.npz',
      EPS: '0.06',
      NORM: 'linf',
      BATTERY: 'tiny.json',
      LIMIT: '',
      ARGUMENTS: '--jobs\n1\n--threads\n1\n',
      BASELINE: '',
      ...inputs,
    },
  })
}

describe('the workflow for a repository that ships a model', () => {
  it('is under 20 lines and gives the action only inputs that it has, and all that it needs', () => {
    expect(example.trimEnd().split('\n').length).toBeLessThan(20)
    const given = [...example.matchAll(/^ {10}(\w+):/gm)].map(([, name]) => name)
    const inputs = [...action.matchAll(/^ {2}(\w+): \{ description: .*?(required: true)?.* \}$/gm)].map(
      ([line, name]) => ({
        name,
        required: line.includes('required: true'),
      }),
    )
    expect(given.length).toBeGreaterThan(2)
    expect(inputs.map(({ name }) => name)).toEqual(expect.arrayContaining(given))
    expect(given).toEqual(
      expect.arrayContaining(inputs.filter(({ required }) => required).map(({ name }) => name)),
    )
  })

  it('passes a model that is as robust as its baseline, and fails one that dropped', () => {
    const first = evaluate({ MODEL: 'steady.onnx', LEDGER: 'first' })
    expect(first.status, first.stderr).toBe(0)
    copyFileSync(join(base, 'first/result.json'), join(base, 'baseline.json'))
    expect(readFileSync(join(base, 'first/badge.svg'), 'utf8')).toContain('robust, L∞ 0.06')
    const { robust } = JSON.parse(readFileSync(join(base, 'first/result.json'), 'utf8'))
    expect(readFileSync(join(base, 'output.txt'), 'utf8')).toBe(`robust=${robust.accuracy}\n`)

    const dropped = evaluate({ MODEL: 'shaky.onnx', LEDGER: 'second', BASELINE: 'baseline.json' })
    expect(dropped.status, dropped.stderr).toBe(3)
    expect(dropped.stderr).toContain('robust accuracy dropped by more than its interval')
    expect(readFileSync(join(base, 'summary.md'), 'utf8')).toContain('| dropped |')

    const same = evaluate({ MODEL: 'steady.onnx', LEDGER: 'third', BASELINE: 'baseline.json' })
    expect(same.status, same.stderr).toBe(0)
    // Many processes, which start slowly where many tests share few cores.
  }, 240_000)

  it('takes no input for a command', () => {
    const { status } = evaluate({ MODEL: '$(touch gotcha).onnx; touch gotcha', LEDGER: 'fourth' })
    expect(status).not.toBe(0)
    expect(existsSync(join(base, 'gotcha'))).toBe(false)
  })
})
