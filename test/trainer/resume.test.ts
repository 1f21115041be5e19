import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DataSet } from '../../converters/data/dataset.ts'
import type { Tensor } from '../../converters/onnx/tensor.ts'
import { type Recipe, recipeSchema } from '../../manifests/schema/recipe.ts'
import { type Checkpoint, readCheckpoint } from '../../trainer/checkpoint/checkpoint.ts'
import { type Backend, openEngine } from '../../trainer/engines/open.ts'
import { networkOf, readRun } from '../../trainer/run.ts'
import { train } from '../../trainer/train.ts'
import { validator } from '../../trainer/validate.ts'
import { stripes } from './stripes.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-resume-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const attack = { eps: 0.1, step: 0.05, steps: 2 }
/** Five batches an epoch. */
const recipe = (rest: object = {}): Recipe =>
  recipeSchema.parse({
    schemaVersion: 1,
    name: 'stripes',
    description: 'Stripes of two directions.',
    source: 'ours',
    data: { train: 'stripes:train', validation: 'stripes' },
    network: { family: 'resnet', form: 'small', depth: 8, width: 4 },
    method: { name: 'pgd-at', attack },
    optimiser: { learningRate: 0.1, schedule: { kind: 'constant' } },
    batch: 16,
    duration: { steps: 12 },
    ...rest,
  })

interface Sitting {
  readonly out: string
  /** Told to stop after so many batches of this sitting. */
  readonly stop?: number
  readonly backend?: Backend
  readonly labels?: (label: number) => number
}

/** Trains until the end or the stop; what the sitting ended with. */
async function sit(recipe: Recipe, { out, stop, backend = 'wasm', labels = (label) => label }: Sitting) {
  const controller = new AbortController()
  let batches = 0
  const open = async (name: string): Promise<DataSet> => {
    const data = stripes(name === 'stripes' ? 64 : 80, name)
    const read = async (indices: readonly number[]) => {
      const batch = await data.read(indices)
      return { ...batch, labels: batch.labels.map(labels) }
    }
    return { ...data, read }
  }
  const options = { out: join(folder, out), backend, open, signal: controller.signal }
  return train(recipe, options, () => {
    if (++batches === stop) controller.abort()
  })
}

const saved = async (out: string): Promise<Checkpoint> => (await readCheckpoint(join(folder, out)))!
const interrupted = expect.objectContaining({ code: 'interrupted' })

function expectSame(a: ReadonlyMap<string, Tensor>, b: ReadonlyMap<string, Tensor>): void {
  expect([...a.keys()].sort()).toEqual([...b.keys()].sort())
  for (const [name, tensor] of a) expect(b.get(name)!.floats, name).toEqual(tensor.floats)
}

const beginning = (tensors: ReadonlyMap<string, Tensor>, prefix: string) =>
  new Map(
    [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, t]) => [name.slice(prefix.length), t]),
  )

describe.each(['wasm', 'ort'] as const)('a run on %s', (backend) => {
  it('stops between the batches of one step, and ends with the bits of a run that did not', async () => {
    const gathering = recipe({
      optimiser: { learningRate: 0.1, schedule: { kind: 'cyclic' }, accumulate: 3, averaging: 0.8 },
      validation: { every: { steps: 4 }, examples: 32, attack },
    })
    const whole = await sit(gathering, { out: 'whole', backend })
    for (const stop of [2, 3]) {
      await expect(sit(gathering, { out: 'parts', backend, stop })).rejects.toEqual(interrupted)
      const { step, tensors } = await saved('parts')
      expect(tensors.has('gradient/classifier/kernel')).toBe(step % 3 !== 0)
    }
    expect((await saved('parts')).step).toBe(5)
    const parts = await sit(gathering, { out: 'parts', backend })
    expectSame((await saved('parts')).tensors, (await saved('whole')).tensors)
    expect(parts.figures.robustAccuracy).toBe(whole.figures.robustAccuracy)
  }, 240_000)
})

it('goes on from another backend: same steps, data, schedule, momenta', async () => {
  const run = recipe({
    optimiser: { learningRate: 0.05, nesterov: true, weightDecay: 1e-3, schedule: { kind: 'cosine' } },
    method: { name: 'standard' },
  })
  await sit(run, { out: 'whole', backend: 'wasm' })
  const whole = await saved('whole')
  for (const [first, second] of [
    ['wasm', 'ort'],
    ['ort', 'wasm'],
  ] as const) {
    const out = `${first}-${second}`
    await expect(sit(run, { out, backend: first, stop: 6 })).rejects.toEqual(interrupted)
    expect((await saved(out)).backend).toBe(first)
    const { backend, steps } = await sit(run, { out, backend: second })
    expect([backend, steps]).toEqual([second, 12])
    const { tensors, history } = await saved(out)
    expect([...tensors.keys()].sort()).toEqual([...whole.tensors.keys()].sort())
    for (const [name, { floats }] of whole.tensors) {
      const difference = Math.hypot(...tensors.get(name)!.floats.map((value, i) => value - floats[i]!))
      expect(difference, name).toBeLessThanOrEqual(1e-3 * Math.hypot(...floats) + 1e-6)
    }
    expect(history.map(({ learningRate }) => learningRate)).toEqual(
      whole.history.map(({ learningRate }) => learningRate),
    )
  }
})

describe("Fast AT's guard", () => {
  const guarded = (rest: object = {}) =>
    recipe({ method: { name: 'fast-at', eps: 0.01, guard: 0.5 }, duration: { epochs: 8 }, ...rest })

  it.each([1, 2])(
    'remembers across restarts what was good, with %d batches to a step',
    async (accumulate) => {
      const run = guarded({ optimiser: { learningRate: 0.03, schedule: { kind: 'constant' }, accumulate } })
      await expect(sit(run, { out: 'run', stop: 34 })).rejects.toEqual(interrupted)
      const before = await saved('run')
      const good = beginning(before.tensors, 'method/good/')
      expect(before.tensors.get('method/guard')!.floats[0]).toBeGreaterThan(0.8)
      expect(before.finished).toBeUndefined()
      // In the next sitting all labels are wrong, so at the end of the epoch accuracy under attack has collapsed.
      const summary = await sit(run, { out: 'run', labels: (label) => 1 - label })
      expect(summary.finished).toMatch(/catastrophic overfitting/)
      expect(summary.steps).toBe(35)
      const after = await saved('run')
      expect(after.finished).toBe(summary.finished)
      expect(after.step).toBe(35)
      for (const prefix of ['weight/', 'momentum/'])
        expectSame(beginning(after.tensors, prefix), beginning(good, prefix))
      // It is over: once more changes nothing.
      const again = await sit(run, { out: 'run' })
      expect([again.steps, again.finished]).toEqual([35, summary.finished])
      expectSame((await saved('run')).tensors, after.tensors)
    },
  )
})

describe('validation', () => {
  const validation = { every: { steps: 4 }, examples: 64, attack }
  /** With a decay of 1 the average stays what the first step left, which knows nothing yet. */
  const averaging = { learningRate: 0.1, schedule: { kind: 'constant' }, averaging: 1 }

  async function measured(out: string, kind: 'weight/' | 'average/', backend: Backend) {
    const run = await readRun(join(folder, out))
    const network = await networkOf(run, join(folder, out))
    const engine = await openEngine(backend, { weights: network.weights, statisticsMomentum: 0.9 })
    const weights = beginning((await saved(out)).tensors, kind)
    await engine.load(new Map([...weights].map(([name, tensor]) => [`weight/${name}`, tensor])))
    const { validation, batch, seed } = run.recipe
    const accuracies = await validator(network, engine, stripes(64), validation!, batch, seed)()
    engine.dispose()
    return accuracies
  }

  it.each(['wasm', 'ort'] as const)(
    'measures the moving averages that are exported, on %s',
    async (backend) => {
      const run = recipe({ optimiser: averaging, duration: { steps: 40 }, validation })
      const { figures } = await sit(run, { out: 'run', backend })
      const { cleanAccuracy, robustAccuracy } = figures
      expect(await measured('run', 'average/', backend)).toEqual({ cleanAccuracy, robustAccuracy })
      expect((await measured('run', 'weight/', backend)).cleanAccuracy).toBeGreaterThan(0.95)
      expect(cleanAccuracy).toBeLessThan(0.8)
    },
  )

  it.each(['wasm', 'ort'] as const)('leaves training alone, on %s', async (backend) => {
    const optimiser = { ...averaging, averaging: 0.9, accumulate: 3 }
    await sit(recipe({ optimiser, validation }), { out: 'with', backend })
    await sit(recipe({ optimiser }), { out: 'without', backend })
    expectSame((await saved('with')).tensors, (await saved('without')).tensors)
  })
})

it('keeps no weights that a step has spoilt, though its own loss was a number', async () => {
  // Every step is saved, and the learning rate of the fourth throws the weights beyond all numbers.
  const spoiling = recipe({
    method: { name: 'standard' },
    optimiser: {
      learningRate: 0.01,
      schedule: { kind: 'step', milestones: [{ steps: 3 }], factor: 1e45 },
    },
    checkpointMinutes: 1e-9,
  })
  await expect(sit(spoiling, { out: 'run' })).rejects.toMatchObject({
    code: 'training-diverged',
    message: expect.stringMatching(/^weight\/.* at step 4$/),
  })
  const { step, tensors } = await saved('run')
  expect(step).toBe(3)
  for (const [name, { floats }] of tensors) expect(floats.every(Number.isFinite), name).toBe(true)
})

it('says that the document of a run is damaged', async () => {
  await sit(recipe({ duration: { steps: 1 } }), { out: 'run' })
  writeFileSync(join(folder, 'run', 'run.json'), '{"schemaVersion": 1, "rec')
  await expect(sit(recipe({ duration: { steps: 1 } }), { out: 'run' })).rejects.toMatchObject({
    code: 'integrity',
    message: expect.stringContaining('run.json'),
  })
})
