import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildLeaderboard } from '../../../evaluator/leaderboard/build.ts'
import { readReported } from '../../../evaluator/leaderboard/reported.ts'
import { ZooError } from '../../../manifests/error.ts'
import { type Track, trackSchema } from '../../../manifests/schema/leaderboard.ts'
import { inventLedger, sha256 } from './synthetic.ts'

let base: string
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'zoo-board-'))
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

const ledger = (name: string, robust: number, more: Partial<Parameters<typeof inventLedger>[1]> = {}) =>
  inventLedger(join(base, 'ledgers', `${name}-${JSON.stringify(more).replace(/\W+/g, '-')}`), {
    name,
    clean: 0.9,
    robust,
    ...more,
  })

/** Every file below a folder with its content. */
function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  return Object.fromEntries(
    files
      .map((file) => join(file.parentPath, file.name))
      .sort()
      .map((path) => [path.slice(folder.length), readFileSync(path, 'utf8')]),
  )
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof ZooError ? error.code : String(error)),
  )

describe('buildLeaderboard', () => {
  it('makes one document per data set, threat and battery version, valid by its schema', async () => {
    const dirs = [
      ledger('plain', 0.1),
      ledger('robust', 0.6),
      ledger('robust', 0.5, { eps: 16 / 255 }),
      ledger('robust', 0.6, { version: '2' }),
      ledger('robust', 0.4, { eps: 16 / 255, battery: 'xie2020', targeted: true, aggregation: 'each' }),
    ]
    const { tracks } = await buildLeaderboard(dirs, { out: join(base, 'board') })
    expect(tracks.map(({ document }) => document.id)).toEqual([
      'synthetic-linf-16-255-quick-v1',
      'synthetic-linf-16-255-targeted-xie2020-v1',
      'synthetic-linf-8-255-quick-v1',
      'synthetic-linf-8-255-quick-v2',
    ])
    for (const { path, document } of tracks)
      expect(trackSchema.parse(JSON.parse(readFileSync(path, 'utf8')))).toEqual(document)
  })

  it('orders by robust accuracy and copies the outcomes behind each number', async () => {
    const out = join(base, 'board')
    const built = await buildLeaderboard([ledger('plain', 0.1), ledger('robust', 0.6)], { out })
    const [track] = built.tracks
    expect(track!.document.entries.map(({ model, robust }) => [model.name, robust.accuracy])).toEqual([
      ['robust', 0.6],
      ['plain', 0.1],
    ])
    for (const { ledger, robust } of track!.document.entries) {
      const rows = JSON.parse(readFileSync(join(out, ledger.path, 'examples.json'), 'utf8')) as {
        robust: boolean
      }[]
      expect(rows.filter((row) => row.robust).length / rows.length).toBe(robust.accuracy)
    }
  })

  it('gives the same bytes for the same ledgers, in whatever order they are named', async () => {
    const dirs = [
      ledger('a', 0.5),
      ledger('b', 0.5),
      ledger('c', 0.2),
      ledger('a', 0.4, { norm: 'l2', eps: 0.5 }),
    ]
    await buildLeaderboard(dirs, { out: join(base, 'one') })
    await buildLeaderboard([...dirs].reverse(), { out: join(base, 'two') })
    expect(contents(join(base, 'one'))).toEqual(contents(join(base, 'two')))
  })

  it('opens no new version where nothing is new, and never changes an old one', async () => {
    const out = join(base, 'board')
    const first = ledger('a', 0.5)
    expect(await buildLeaderboard([first], { out })).toMatchObject({ version: 1, fresh: true })
    const before = contents(join(out, 'v1'))
    expect(await buildLeaderboard([first], { out })).toMatchObject({ version: 1, fresh: false })
    expect(await buildLeaderboard([first, ledger('b', 0.6)], { out })).toMatchObject({
      version: 2,
      fresh: true,
    })
    expect(contents(join(out, 'v1'))).toEqual(before)
  })

  it('keeps the pictures that it got, where a store has thrown them away', async () => {
    const out = join(base, 'board')
    const dir = ledger('a', 0.5)
    writeFileSync(join(dir, 'pictures.png'), 'a picture')
    await buildLeaderboard([dir], { out })
    rmSync(join(dir, 'pictures.png'))
    const { tracks } = await buildLeaderboard([dir, ledger('b', 0.6)], { out })
    const folder = join(out, 'v2', tracks[0]!.document.id)
    const pages = readdirSync(folder).filter((name) => /^[ab]-.*\.html$/.test(name))
    expect(pages.map((name) => readFileSync(join(folder, name), 'utf8').includes('pictures.png'))).toEqual([
      true,
      false,
    ])
  })

  it('refuses to build on a published document that was altered', async () => {
    const out = join(base, 'board')
    const { tracks } = await buildLeaderboard([ledger('a', 0.5)], { out })
    const { path } = tracks[0]!
    writeFileSync(path, readFileSync(path, 'utf8').replace('"a"', '"A"'))
    expect(await codeOf(buildLeaderboard([ledger('b', 0.6)], { out }))).toBe('integrity')
  })

  it('takes an interrupted version up again: without its board.json it was never published', async () => {
    const out = join(base, 'board')
    await buildLeaderboard([ledger('a', 0.5)], { out })
    await buildLeaderboard([ledger('a', 0.5), ledger('b', 0.6)], { out })
    rmSync(join(out, 'v2', 'board.json'))
    writeFileSync(join(out, 'v2', 'leftover.html'), '')
    const built = await buildLeaderboard([ledger('a', 0.5), ledger('c', 0.6)], { out })
    expect(built).toMatchObject({ version: 2, fresh: true })
    expect(readdirSync(join(out, 'v2'))).not.toContain('leftover.html')
  })

  it('keeps of several runs of one model the one with more images, then the one in which the attack found more', async () => {
    const dirs = [
      ledger('a', 0.2, { images: 100 }),
      ledger('a', 0.6, { seed: 1 }),
      ledger('a', 0.5, { seed: 2 }),
    ]
    const { tracks } = await buildLeaderboard(dirs, { out: join(base, 'board') })
    expect(tracks[0]!.document.entries).toHaveLength(1)
    expect(tracks[0]!.document.entries[0]).toMatchObject({ seed: 2, images: { count: 200 } })
  })

  it('refuses two data sets, or two batteries, of one name', async () => {
    const altered = (
      change: (result: { dataset: { sha256: string }; battery: { sha256: string } }) => void,
    ) => {
      const dir = ledger('b', 0.5, { seed: 9 })
      const path = join(dir, 'result.json')
      const result = JSON.parse(readFileSync(path, 'utf8'))
      change(result)
      writeFileSync(path, JSON.stringify(result))
      return dir
    }
    const out = join(base, 'board')
    const other = altered(({ dataset }) => {
      dataset.sha256 = sha256('other data')
    })
    expect(await codeOf(buildLeaderboard([ledger('a', 0.5), other], { out }))).toBe('conflict')
    const changed = altered(({ battery }) => {
      battery.sha256 = sha256('other battery')
    })
    expect(await codeOf(buildLeaderboard([ledger('a', 0.5), changed], { out }))).toBe('conflict')
  })

  it('says what is missing or wrong in a ledger', async () => {
    const out = join(base, 'board')
    expect(await codeOf(buildLeaderboard([], { out }))).toBe('usage')
    expect(await codeOf(buildLeaderboard([join(base, 'nothing')], { out }))).toBe('not-found')
    const broken = ledger('a', 0.5)
    writeFileSync(join(broken, 'result.json'), '{"model": ')
    expect(await codeOf(buildLeaderboard([broken], { out }))).toBe('invalid-manifest')
    writeFileSync(join(broken, 'result.json'), '{"model": 1}')
    expect(await codeOf(buildLeaderboard([broken], { out }))).toBe('invalid-manifest')
  })

  it('shows reported figures only beside the battery, data and threat that they belong to, and ranks none', async () => {
    const cifar = { dataset: 'cifar10', battery: 'autoattack' }
    const { tracks } = await buildLeaderboard(
      [
        ledger('a', 0.5, cifar),
        ledger('a', 0.5, { dataset: 'cifar10' }),
        ledger('a', 0.5, { ...cifar, eps: 4 / 255 }),
      ],
      { out: join(base, 'board'), reported: await readReported() },
    )
    const names = (track: Track) => track.reported.map(({ name }) => name)
    const byId = new Map(tracks.map(({ document }) => [document.id, document]))
    const track = byId.get('cifar10-linf-8-255-autoattack-v1')!
    expect(names(track)).toContain('Bartoldson2024Adversarial_WRN-94-16')
    expect(names(track)).not.toContain('Xu2024MIMIR_Swin-L')
    expect(track.entries.map(({ model }) => model.name)).toEqual(['a'])
    expect(names(byId.get('cifar10-linf-8-255-quick-v1')!)).toEqual([])
    expect(names(byId.get('cifar10-linf-4-255-autoattack-v1')!)).toEqual([])
  })

  it('keeps a page under 300 KB with a hundred models on it', async () => {
    const dirs = Array.from({ length: 100 }, (_, i) =>
      ledger(`a-model-with-a-long-name-${i}`, 0.2 + ((i * 37) % 50) / 100, { images: 100 }),
    )
    const { tracks } = await buildLeaderboard(dirs, { out: join(base, 'board') })
    expect(tracks[0]!.document.entries).toHaveLength(100)
    expect(statSync(tracks[0]!.page).size).toBeLessThan(300_000)
  })

  it('draws the security curve of attacks that look for the smallest perturbation, and of no others', async () => {
    const dir = ledger('a', 0.5, { battery: 'minimal-norm', aggregation: 'each' })
    const path = join(dir, 'result.json')
    const result = JSON.parse(readFileSync(path, 'utf8'))
    for (const attack of result.attacks) attack.medianNorm = 0.01
    writeFileSync(path, JSON.stringify(result))
    const rows: { clean: boolean; norm: number | null }[] = JSON.parse(
      readFileSync(join(dir, 'examples.json'), 'utf8'),
    )
    // 180 of 200 are correct, 100 of them stand: let half of the 80 others fall at eps / 2.
    let halved = 0
    for (const row of rows) if (row.clean && row.norm !== null && halved++ < 40) row.norm = 4 / 255
    writeFileSync(join(dir, 'examples.json'), JSON.stringify(rows))
    const { tracks } = await buildLeaderboard([dir, ledger('a', 0.5)], { out: join(base, 'board') })
    const [minimal, quick] = tracks.map(({ document }) => document.entries[0]!)
    const at = (eps: number) => minimal!.security!.find((point) => Math.abs(point.eps - eps) < 1e-9)!.accuracy
    expect([0, 3.8 / 255, 4 / 255, 7.8 / 255, 8 / 255].map(at)).toEqual([0.9, 0.9, 0.7, 0.7, 0.5])
    expect(quick!.security).toBeUndefined()
  })

  it('escapes what a submission calls itself', async () => {
    const name = '<img src=x onerror=alert(1)>'
    const { tracks } = await buildLeaderboard(
      [ledger('a', 0.5), inventLedger(join(base, 'x'), { name, clean: 0.8, robust: 0.3 })],
      {
        out: join(base, 'board'),
      },
    )
    const page = readFileSync(tracks[0]!.page, 'utf8')
    expect(page).not.toContain('<img src=x')
    expect(page).toContain('&lt;img src=x onerror=alert(1)&gt;')
  })
})
