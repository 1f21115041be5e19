import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { bestBackend } from '../../trainer/engines/best.ts'
import { type Machinery, settleMachinery } from '../../trainer/machinery.ts'

const CORES = 4
vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  availableParallelism: () => CORES,
}))

let folder: string
let measured: Machinery[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-machinery-'))
  measured = []
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Milliseconds of a step where all cores take this share of what one takes. */
const stepwise = (share: number) => async (machinery: Machinery) => {
  measured.push(machinery)
  return machinery.processes === 1 ? 100 : 100 * share
}

const AUTO = { backend: 'wasm', processes: 'auto' } as const
const kept = () => JSON.parse(readFileSync(join(folder, 'machinery.json'), 'utf8'))

it.each([
  [0.5, CORES],
  [0.89, CORES],
  [0.95, 1],
  [2, 1],
])(
  'where all cores take %d of the time, takes %d processes, and says so in the folder',
  async (share, processes) => {
    expect(await settleMachinery(folder, AUTO, stepwise(share))).toEqual({ backend: 'wasm', processes })
    expect(measured).toEqual([
      { backend: 'wasm', processes: 1 },
      { backend: 'wasm', processes: CORES },
    ])
    expect(kept()).toEqual({ schemaVersion: 1, backend: 'wasm', processes })
  },
)

it('measures once: a resumed run goes on as it began, whatever the machine is busy with now', async () => {
  await settleMachinery(folder, AUTO, stepwise(0.5))
  measured = []
  for (const wanted of [AUTO, { backend: 'wasm' }, { backend: 'auto', processes: 'auto' }, {}] as const)
    expect(await settleMachinery(folder, wanted, stepwise(2))).toEqual({ backend: 'wasm', processes: CORES })
  expect(measured).toEqual([])
})

it('does what it is told, and remembers that', async () => {
  await settleMachinery(folder, AUTO, stepwise(0.5))
  measured = []
  const told = { backend: 'wasm', processes: 3 } as const
  expect(await settleMachinery(folder, told, stepwise(2))).toEqual(told)
  expect(await settleMachinery(folder, AUTO, stepwise(0.5))).toEqual(told)
  expect(measured).toEqual([])
})

it('takes one process where nobody asks, and where a backend uses all cores by itself', async () => {
  expect((await settleMachinery(folder, { backend: 'wasm' }, stepwise(0.5))).processes).toBe(1)
  const node = { backend: 'node', processes: 'auto' } as const
  expect((await settleMachinery(folder, node, stepwise(0.5))).processes).toBe(1)
  expect(measured).toEqual([])
})

it('measures processes on onnxruntime too, but not on a GPU, of which each would need one', async () => {
  const ort = { backend: 'ort', processes: 'auto' } as const
  const onGpu = { ...ort, provider: 'cuda' } as const
  expect((await settleMachinery(join(folder, 'gpu'), onGpu, stepwise(0.5))).processes).toBe(1)
  expect(measured).toEqual([])
  expect((await settleMachinery(folder, ort, stepwise(0.5))).processes).toBe(CORES)
})

it('measures anew for another backend', async () => {
  await settleMachinery(folder, { backend: 'cpu' }, stepwise(0.5))
  expect(await settleMachinery(folder, AUTO, stepwise(0.5))).toEqual({ backend: 'wasm', processes: CORES })
})

it('takes the best backend where none is named, and stays with it', async () => {
  const best = await bestBackend()
  expect((await settleMachinery(folder, {}, stepwise(1))).backend).toBe(best)
  expect(kept().backend).toBe(best)
})

it('says what is damaged', async () => {
  writeFileSync(join(folder, 'machinery.json'), '{"schemaVersion": 1, "back')
  await expect(settleMachinery(folder, {}, stepwise(1))).rejects.toMatchObject({ code: 'integrity' })
  writeFileSync(join(folder, 'machinery.json'), '{"schemaVersion": 1, "backend": "abacus", "processes": 1}')
  await expect(settleMachinery(folder, {}, stepwise(1))).rejects.toMatchObject({ code: 'invalid-manifest' })
})
