import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildLeaderboard } from '../../../evaluator/leaderboard/build.ts'
import { compare } from '../../../evaluator/leaderboard/compare.ts'
import { readMeasured } from '../../../evaluator/leaderboard/measured.ts'
import { comparisonText } from '../../../evaluator/leaderboard/text.ts'
import { ZooError } from '../../../manifests/error.ts'
import { type Invented, inventLedger, sha256 } from './synthetic.ts'

let base: string
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'zoo-compare-'))
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

let count = 0
const ledger = (name: string, robust: number, more: Partial<Invented> = {}) =>
  inventLedger(join(base, `ledger-${count++}`), { name, clean: 0.9, robust, ...more })

/** A ledger with its result changed by hand. */
function edited(dir: string, change: (result: Record<string, Record<string, unknown>>) => void): string {
  const path = join(dir, 'result.json')
  const result = JSON.parse(readFileSync(path, 'utf8'))
  change(result)
  writeFileSync(path, JSON.stringify(result))
  return dir
}

const between = async (before: string, after: string) =>
  compare(await readMeasured(before), await readMeasured(after))

describe('compare', () => {
  it('tells added, removed, moved and unchanged models of two versions, with the rest that differs', async () => {
    const out = join(base, 'board')
    const same = ledger('same', 0.5)
    const better = ledger('better', 0.3)
    await buildLeaderboard([same, better, ledger('gone', 0.2)], { out })
    const retrained = edited(ledger('better', 0.6), (result) => {
      result.model!.sha256 = sha256('better, retrained')
    })
    await buildLeaderboard([same, retrained, ledger('new', 0.4)], { out })
    const { changes, tracks } = await between(join(out, 'v1'), join(out, 'v2'))
    expect(tracks).toEqual({ added: [], removed: [] })
    expect(changes.map(({ model, kind, causes, dropped }) => ({ model, kind, causes, dropped }))).toEqual([
      { model: 'better', kind: 'moved', causes: ['model'], dropped: false },
      { model: 'same', kind: 'unchanged', causes: [], dropped: false },
      { model: 'new', kind: 'added', causes: [], dropped: false },
      { model: 'gone', kind: 'removed', causes: [], dropped: false },
    ])
    expect(changes[0]!.paired).toMatchObject({ images: 200 })
    expect(changes[0]!.paired!.difference).toBeCloseTo(0.3)
    expect(changes[0]!.paired!.p).toBeLessThan(0.001)
  })

  it('takes a new battery version for a new track', async () => {
    const { tracks, changes } = await between(ledger('a', 0.5), ledger('a', 0.4, { version: '2' }))
    expect(tracks).toEqual({
      added: ['synthetic-linf-8-255-quick-v2'],
      removed: ['synthetic-linf-8-255-quick-v1'],
    })
    expect(changes).toEqual([])
  })

  it('names software, seed and provider where they differ, and says so where nothing does', async () => {
    const before = ledger('a', 0.5)
    const after = edited(ledger('a', 0.45, { seed: 3 }), (result) => {
      result.software!['onnxruntime-node'] = '1.31.0'
      Object.assign(result, { provider: 'cuda' })
    })
    expect((await between(before, after)).changes[0]!.causes).toEqual(['seed', 'software', 'provider'])
    expect((await between(before, ledger('a', 0.45))).changes[0]!.causes).toEqual(['unexplained'])
  })

  it('calls it a drop only below the interval that the accuracy had', async () => {
    // 100 of 200: the interval begins at 43.1 %.
    const before = ledger('a', 0.5)
    expect((await between(before, ledger('a', 0.44))).changes[0]!.dropped).toBe(false)
    expect((await between(before, ledger('a', 0.425))).changes[0]!.dropped).toBe(true)
  })

  it('compares single evaluations whatever their names, rows of a board only by file or name', async () => {
    const [one, other] = [ledger('release-1', 0.5), ledger('release-2', 0.5)]
    expect((await between(one, other)).changes).toMatchObject([{ kind: 'moved', causes: ['model'] }])
    const boards = await Promise.all(
      [one, other].map(async (dir) => {
        const out = join(base, `board-${count++}`)
        await buildLeaderboard([dir], { out })
        return out
      }),
    )
    expect((await between(boards[0]!, boards[1]!)).changes.map(({ kind }) => kind)).toEqual([
      'added',
      'removed',
    ])
  })

  it('reads what `zoo eval --json` printed, without outcomes', async () => {
    const alone = join(base, 'baseline.json')
    writeFileSync(alone, readFileSync(join(ledger('a', 0.5), 'result.json')))
    const { changes } = await between(alone, ledger('a', 0.4))
    expect(changes[0]).toMatchObject({ kind: 'moved', dropped: true })
    expect(changes[0]!.paired).toBeUndefined()
  })

  it('reads well as Markdown', async () => {
    const text = comparisonText(await between(ledger('a', 0.5), ledger('a', 0.4)))
    expect(text.split('\n')[0]).toMatch(/^\| Track +\| Model \| What +\|/)
    expect(text).toContain('50.0 % → 40.0 %')
    expect(text).toContain('0 models unchanged.')
  })

  it('refuses what is neither', async () => {
    await expect(readMeasured(base)).rejects.toBeInstanceOf(ZooError)
    await expect(readMeasured(join(base, 'nowhere'))).rejects.toMatchObject({ code: 'not-found' })
  })
})
