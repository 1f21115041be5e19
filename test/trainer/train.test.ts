import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readModel } from '../../converters/onnx/file.ts'
import { openSession } from '../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../converters/onnx/tensor.ts'
import { type Recipe, recipeSchema } from '../../manifests/schema/recipe.ts'
import { readCheckpoint } from '../../trainer/checkpoint/checkpoint.ts'
import { exportRun, writeExport } from '../../trainer/export.ts'
import { accuracyOf } from '../../trainer/methods/method.ts'
import { type TrainOptions, train } from '../../trainer/train.ts'
import { stripes } from './stripes.ts'

let out: string
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'zoo-train-'))
})
afterEach(() => rmSync(out, { recursive: true, force: true }))

const recipe = (rest: object = {}): Recipe =>
  recipeSchema.parse({
    schemaVersion: 1,
    name: 'stripes',
    description: 'Stripes of two directions.',
    source: 'ours',
    data: { train: 'stripes:train', validation: 'stripes' },
    network: { family: 'resnet', form: 'small', depth: 8, width: 4, norm: { kind: 'mixture' } },
    method: { name: 'pgd-at', attack: { eps: 0.1, step: 0.05, steps: 2 }, cleanRatio: 1 },
    optimiser: { learningRate: 0.1, schedule: { kind: 'cyclic' } },
    batch: 16,
    duration: { steps: 12 },
    ...rest,
  })

const options = (rest: Partial<TrainOptions> = {}): TrainOptions => ({
  out: join(out, 'run'),
  backend: 'wasm',
  open: async (name) => stripes(name === 'stripes' ? 64 : 80, name),
  ...rest,
})

/** Aborted after so many progress events. */
function stoppedAfter(steps: number): { signal: AbortSignal; progress: () => void } {
  const controller = new AbortController()
  let count = 0
  return {
    signal: controller.signal,
    progress: () => {
      if (++count === steps) controller.abort()
    },
  }
}

it('ends an interrupted run with the same bits as one that was not', async () => {
  const whole = await train(recipe(), options({ out: join(out, 'whole') }))
  for (const steps of [3, 5]) {
    const { signal, progress } = stoppedAfter(steps)
    await expect(train(recipe(), options({ signal }), progress)).rejects.toMatchObject({
      code: 'interrupted',
    })
  }
  const parts = await train(recipe(), options())
  expect([parts.steps, parts.images, parts.backend]).toEqual([12, 192, 'wasm'])
  const [a, b] = [await readCheckpoint(join(out, 'whole')), await readCheckpoint(join(out, 'run'))]
  expect([...a!.tensors.keys()]).toEqual([...b!.tensors.keys()])
  for (const [name, tensor] of a!.tensors) expect(b!.tensors.get(name)!.floats).toEqual(tensor.floats)
  expect(parts.figures.loss).toBe(whole.figures.loss)
  expect(readdirSync(join(out, 'run')).filter((name) => name.endsWith('.safetensors'))).toHaveLength(1)
})

it('answers at once when a run is finished', async () => {
  const first = await train(recipe({ duration: { steps: 2 } }), options())
  const again = await train(recipe({ duration: { steps: 2 } }), options())
  expect(again.seconds).toBe(first.seconds)
})

it('refuses a folder that holds another run', async () => {
  await train(recipe({ duration: { steps: 1 } }), options())
  await expect(train(recipe({ duration: { steps: 2 } }), options())).rejects.toMatchObject({
    code: 'conflict',
  })
  const other = options({ open: async (name) => stripes(90, name) })
  await expect(train(recipe({ duration: { steps: 1 } }), other)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('other data'),
  })
})

it('refuses a damaged checkpoint', async () => {
  const { signal, progress } = stoppedAfter(2)
  await expect(train(recipe(), options({ signal }), progress)).rejects.toMatchObject({ code: 'interrupted' })
  const name = readdirSync(join(out, 'run')).find((file) => file.endsWith('.safetensors'))!
  const bytes = readFileSync(join(out, 'run', name))
  bytes[bytes.length - 1]! ^= 1
  writeFileSync(join(out, 'run', name), bytes)
  await expect(train(recipe(), options())).rejects.toMatchObject({ code: 'integrity' })
})

it('stops when the loss is no number any more, and keeps the last checkpoint', async () => {
  const explosive = recipe({
    optimiser: { learningRate: 1e30, schedule: { kind: 'constant' } },
    method: { name: 'standard' },
    network: { family: 'resnet', form: 'small', depth: 8, width: 4, norm: { kind: 'none' } },
    duration: { steps: 60 },
    batch: 16,
  })
  await expect(train(explosive, options())).rejects.toMatchObject({ code: 'training-diverged' })
  const kept = await readCheckpoint(join(out, 'run'))
  if (kept) for (const tensor of kept.tensors.values()) expect(tensor.floats.some(Number.isNaN)).toBe(false)
})

it('learns, and exports a file that onnxruntime runs with the same answers', async () => {
  const learning = recipe({
    duration: { steps: 40 },
    validation: { every: { steps: 40 }, examples: 64, attack: { eps: 0.1, step: 0.05, steps: 3 } },
  })
  const summary = await train(learning, options())
  expect(summary.figures.cleanAccuracy).toBeGreaterThan(0.95)
  expect(summary.figures.robustAccuracy).toBeGreaterThan(0.9)

  for (const branch of ['adv', 'clean'] as const) {
    const exported = await exportRun(join(out, 'run'), { branch, backend: 'wasm', open: options().open! })
    expect(exported.parity.logits.otherClass).toBe(0)
    expect(exported.parity.logits.largest).toBeLessThan(1e-5)
    expect(exported.model.graph.nodes.some(({ opType }) => opType === 'BatchNormalization')).toBe(false)
    const path = join(out, 'model', `${branch}.onnx`)
    const manifest = await writeExport(exported, path)
    expect(manifest.branch).toBe(branch)
    expect(manifest.files.map(({ path }) => path)).toEqual([
      `${branch}.onnx`,
      `${branch}.parity.json`,
      `${branch}.md`,
    ])
    for (const file of manifest.files) expect(existsSync(join(out, 'model', file.path))).toBe(true)
    const model = await readModel(path)
    expect(model.metadata.get('branch')).toBe(branch)
    const session = await openSession(model, { threads: 1 })
    const { images, labels } = await stripes(64).read(Array.from({ length: 64 }, (_, i) => i))
    const { logits } = await session.run({ image: Tensor.float32([64, 1, 8, 8], images) })
    await session.release()
    expect(accuracyOf(logits!, labels)).toBeGreaterThan(0.95)
  }
  await expect(exportRun(join(out, 'run'), { branch: 'main' })).rejects.toMatchObject({ code: 'usage' })
})

it('exports nothing where there is nothing', async () => {
  await expect(exportRun(join(out, 'nowhere'))).rejects.toMatchObject({ code: 'not-found' })
})
