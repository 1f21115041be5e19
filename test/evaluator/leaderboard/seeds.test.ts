import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildLeaderboard } from '../../../evaluator/leaderboard/build.ts'
import { cleanRatioChart, depthChart, trackCharts } from '../../../evaluator/leaderboard/page/charts/track.ts'
import { bySeed, middleSeeds } from '../../../evaluator/leaderboard/seeds.ts'
import type { ModelCard } from '../../../evaluator/leaderboard/tracks.ts'
import type { Entry, Track } from '../../../manifests/schema/leaderboard.ts'
import { modelManifestSchema } from '../../../manifests/schema/model.ts'
import { inventLedger, sha256 } from './synthetic.ts'

/** Recipe, method, depth, clean ratio, and the robust accuracy of each of its seeds. */
const RECIPES = [
  ['advbn-20', 'pgd-at', 20, 1, [0.5, 0.4, 0.6]],
  ['advbn-56', 'pgd-at', 56, 1, [0.62, 0.58]],
  ['trades-20', 'trades', 20, undefined, [0.45]],
  ['mixed-20', 'pgd-at', 20, 0.5, [0.3, 0.34]],
] as const

let base: string
let track: Track
let page: string

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'zoo-seeds-'))
  const dirs: string[] = []
  const models = new Map<string, ModelCard>()
  for (const [recipe, method, depth, cleanRatio, accuracies] of RECIPES)
    for (const [seed, robust] of accuracies.entries()) {
      const name = `${recipe}-s${seed}`
      dirs.push(inventLedger(join(base, name), { name, clean: 0.8, robust }))
      models.set(sha256(name), {
        manifest: modelManifestSchema.parse({
          schemaVersion: 1,
          name,
          version: '1',
          description: 'An invented model.',
          files: [{ path: 'model.onnx', size: 1, sha256: sha256(name) }],
          architecture: `ResNet-${depth}`,
          parameters: 1e5,
          depth,
          input: {},
          classes: ['a', 'b'],
          dataset: 'synthetic',
          normalisation: 'mixture',
          branch: 'adv',
          threat: { norm: 'linf', eps: 8 / 255 },
          method,
          recipe: { name: recipe, sha256: sha256(recipe), seed },
          ...(cleanRatio !== undefined && { cleanRatio }),
          licence: 'Apache-2.0',
        }),
      })
    }
  dirs.push(inventLedger(join(base, 'bare'), { name: 'bare.onnx', clean: 0.9, robust: 0.1 }))
  const { tracks } = await buildLeaderboard(dirs, { out: join(base, 'board'), models })
  track = tracks[0]!.document
  page = readFileSync(tracks[0]!.page, 'utf8')
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

const names = (entries: readonly Entry[]) => entries.map(({ model }) => model.name)

describe('models of one recipe', () => {
  it('are grouped by recipe, and a bare file stands alone', () => {
    expect(bySeed(track.entries).map((seeds) => names(seeds))).toEqual([
      ['advbn-56-s0', 'advbn-56-s1'],
      ['advbn-20-s2', 'advbn-20-s0', 'advbn-20-s1'],
      ['trades-20-s0'],
      ['mixed-20-s1', 'mixed-20-s0'],
      ['bare.onnx'],
    ])
  })

  it('are each ranked by themselves, and summed up in a table of their own', () => {
    expect(track.entries).toHaveLength(9)
    const [, table = ''] = /<h2 id="seeds">(.*?)<\/table>/s.exec(page)!
    expect(table).toMatch(/advbn-20<\/th>.*3<\/td>.*50\.0 %.*40\.0 – 60\.0.*80\.0 %.*80\.0 – 80\.0/)
    expect(table).not.toContain('trades')
  })

  it('are drawn as a line of the one in the middle', () => {
    expect(names(middleSeeds(track.entries))).toEqual([
      'advbn-56-s1',
      'advbn-20-s0',
      'trades-20-s0',
      'mixed-20-s0',
      'bare.onnx',
    ])
    const budget = trackCharts(track, [track]).find(({ title }) => title.includes('budget'))!
    expect(budget.text).toContain('the one in the middle is drawn')
    expect(new Set(budget.rows.map(([name]) => name)).size).toBe(5)
  })
})

/** Where the dots of a chart are, as many as it has. */
const dots = (svg: string) =>
  [...svg.matchAll(/<g fill="var\(--s\d\)">(.*?)<\/g>/g)].flatMap(([, group]) =>
    group!.match(/<(circle|path)/g),
  ).length

describe('accuracy against a property of the models', () => {
  it('joins models alike in all else, and draws the seeds of a recipe as one point', () => {
    const chart = depthChart(track.entries)!
    // ResNet-20 and ResNet-56 by pgd-at at clean ratio 1; robust and clean.
    expect(dots(chart.svg.markup)).toBe(4)
    expect(chart.legend!.markup.replace(/<svg.*?<\/svg>/gs, '')).toBe(
      '<ul class="legend"><li>Robust</li><li>Clean</li></ul>',
    )
    expect(chart.text).toContain('mean over the seeds')
    expect(chart.rows).toHaveLength(8)
  })

  it('leaves out of a line what differs in more than the axis', () => {
    const chart = cleanRatioChart(track.entries)!
    expect(dots(chart.svg.markup)).toBe(4)
    const [alone] = bySeed(track.entries)
    expect(cleanRatioChart(alone!)).toBeUndefined()
  })
})
