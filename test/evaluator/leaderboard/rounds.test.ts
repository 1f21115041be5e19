import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Candidate, planJobs } from '../../../evaluator/leaderboard/jobs.ts'
import { matrixOf } from '../../../evaluator/leaderboard/matrix.ts'
import { batterySchema } from '../../../manifests/schema/battery.ts'
import { boardPlanSchema } from '../../../manifests/schema/board-plan.ts'
import { sha256 } from './synthetic.ts'

let store: string
beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'zoo-rounds-'))
})
afterEach(() => rmSync(store, { recursive: true, force: true }))

const candidate = (name: string, dataset = 'mnist'): Candidate => ({
  file: { name, path: `${name}.onnx`, sha256: sha256(name) },
  dataset,
  spec: name,
})
const readBattery = (id: string) =>
  batterySchema.parse({
    schemaVersion: 1,
    id,
    version: '1',
    description: 'Invented.',
    aggregation: 'each',
    attacks: [{ kind: 'pgd', name: 'pgd', iterations: 1, step: 1, targets: 'random' }],
  })
const { tracks } = boardPlanSchema.parse({
  schemaVersion: 1,
  models: [{ model: 'a' }],
  tracks: [
    { dataset: 'mnist', battery: 'quick', norm: 'linf', eps: 0.1, images: 100 },
    { dataset: 'mnist', battery: 'xie2020', norm: 'linf', eps: '8/255', images: 100, seed: 'fresh' },
  ],
})

/** Seeds by track and model, with draws that are counted. */
async function seeds(models: readonly Candidate[], draws: { count: number }) {
  const draw = () => 1000 + draws.count++
  const jobs = await planJobs(tracks, models, store, readBattery, draw)
  return jobs.map(({ track, candidate: { file }, seed }) => `${track.battery} ${file.name} ${seed}`)
}

describe('planning a board', () => {
  it('draws a fresh seed when a model joins, and keeps it while none does', async () => {
    const draws = { count: 0 }
    const [a, b] = [candidate('a'), candidate('b')]
    expect(await seeds([a], draws)).toEqual(['quick a 0', 'xie2020 a 1000'])
    expect(await seeds([a], draws)).toEqual(['quick a 0', 'xie2020 a 1000'])
    // The newcomer's targets are new to everyone, so the others are attacked with them too.
    expect(await seeds([a, b], draws)).toEqual(['quick a 0', 'quick b 0', 'xie2020 a 1001', 'xie2020 b 1001'])
    expect(await seeds([b], draws)).toEqual(['quick b 0', 'xie2020 b 1001'])
    expect(draws.count).toBe(2)
  })

  it('puts each model into the tracks of its data set alone', async () => {
    const draws = { count: 0 }
    expect(await seeds([candidate('a'), candidate('c', 'cifar10')], draws)).toHaveLength(2)
    await expect(seeds([candidate('c', 'cifar10')], draws)).rejects.toMatchObject({ code: 'usage' })
  })

  it('puts a model that names batteries into their tracks alone', async () => {
    const slow = { ...candidate('slow'), batteries: ['quick'] }
    expect(await seeds([candidate('a'), slow], { count: 0 })).toEqual([
      'quick a 0',
      'quick slow 0',
      'xie2020 a 1000',
    ])
  })

  it('prints a matrix in which every part says all that decides an outcome', async () => {
    const jobs = await planJobs(tracks.slice(0, 1), [candidate('a'), candidate('b')], store, readBattery)
    const { include } = matrixOf(jobs, 2)
    expect(new Set(include.map(({ part }) => part)).size).toBe(4)
    expect(include[1]!.arguments.join(' ')).toBe(
      'a --data mnist --battery quick --norm linf --eps 0.1 --limit 100 --seed 0 --shard 2/2',
    )
  })
})
