import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readModel } from '../../converters/onnx/file.ts'
import { type Recipe, recipeSchema } from '../../manifests/schema/recipe.ts'
import { readCheckpoint } from '../../trainer/checkpoint/checkpoint.ts'
import { exportRun, writeExport } from '../../trainer/export.ts'
import { networkFrom, prepareGiven } from '../../trainer/given.ts'
import { type TrainOptions, train } from '../../trainer/train.ts'
import { needsTestData, testData } from '../data.ts'
import { stripes } from './stripes.ts'

let folder: string
/** A run and the file that it exports to. */
let run: string
let model: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-origin-'))
  run = join(folder, 'run')
  model = join(folder, 'model.onnx')
  await train(recipe({ duration: { steps: 30 } }), options('run'))
  await writeExport(await exportRun(run, { backend: 'wasm', open }), model)
})
afterAll(() => rmSync(folder, { recursive: true }))

const open = async (name: string) => stripes(64, name)
const options = (name: string, rest: Partial<TrainOptions> = {}): TrainOptions => ({
  out: join(folder, name),
  backend: 'wasm',
  open,
  ...rest,
})

const recipe = (rest: object = {}): Recipe =>
  recipeSchema.parse({
    schemaVersion: 1,
    name: 'stripes',
    description: 'Stripes of two directions.',
    source: 'ours',
    data: { train: 'stripes' },
    network: { family: 'resnet', form: 'small', depth: 8, width: 4 },
    method: { name: 'standard' },
    optimiser: { learningRate: 0.1, schedule: { kind: 'constant' } },
    batch: 16,
    duration: { steps: 1 },
    ...rest,
  })

const given = {
  network: { family: 'given' },
  optimiser: { learningRate: 0.001, schedule: { kind: 'constant' } },
}

it('goes on with the network in a model file, and exports it again', async () => {
  const attack = { eps: 0.1, step: 0.05, steps: 2 }
  const hardening = recipe({ ...given, method: { name: 'pgd-at', attack }, duration: { steps: 5 } })
  const summary = await train(hardening, options('given', { from: { path: model } }))
  // It starts from what the file had learnt.
  expect(summary.figures.loss).toBeLessThan(0.4)
  const again = await train(hardening, options('given'))
  expect(again.steps).toBe(5)
  const exported = await exportRun(join(folder, 'given'), { backend: 'wasm', open })
  expect(exported.parity.failures).toEqual([])
  expect(exported.manifest).toMatchObject({
    architecture: 'that of model.onnx',
    threat: { norm: 'linf', eps: 0.1 },
  })
})

it('takes the weights of a run by name', async () => {
  const still = { learningRate: 1e-9, schedule: { kind: 'constant' } }
  const frozen = { freeze: ['stem.conv/kernel', 'stage*'] }
  await train(recipe({ optimiser: still, ...frozen }), options('again', { from: { path: run } }))
  const before = (await readCheckpoint(run))!.tensors
  const after = (await readCheckpoint(join(folder, 'again')))!.tensors
  const name = 'weight/classifier/kernel'
  for (const [i, value] of before.get(name)!.floats.entries())
    expect(after.get(name)!.floats[i]).toBeCloseTo(value, 5)
  const kernel = 'weight/stage1.block1.conv1/kernel'
  expect(after.get(kernel)!.floats).toEqual(before.get(kernel)!.floats)
  expect(after.has('momentum/stage1.block1.conv1/kernel')).toBe(false)
  expect(after.has('momentum/classifier/kernel')).toBe(true)
})

it('refuses what does not fit together', async () => {
  const failing = (recipe: Recipe, rest: Partial<TrainOptions>) => train(recipe, options('failing', rest))
  await expect(failing(recipe(), { from: { path: model } })).rejects.toMatchObject({ code: 'usage' })
  await expect(failing(recipe(given), { from: { path: run } })).rejects.toMatchObject({ code: 'usage' })
  await expect(failing(recipe(given), {})).rejects.toMatchObject({ code: 'usage' })
  await expect(failing(recipe(), { from: { path: 'nowhere' } })).rejects.toMatchObject({ code: 'not-found' })
  await expect(
    failing(recipe({ freeze: ['no such weight'] }), { out: join(folder, 'frozen') }),
  ).rejects.toMatchObject({ code: 'invalid-manifest' })
  await expect(
    failing(recipe({ freeze: ['st*', 'cl*'] }), { out: join(folder, 'all-frozen') }),
  ).rejects.toMatchObject({ code: 'unsupported-model' })
  const large = async () => ({ ...stripes(64), shape: [1, 16, 16] as const })
  await expect(failing(recipe(given), { from: { path: model }, open: large })).rejects.toMatchObject({
    code: 'invalid-data',
  })
})

it.skipIf(testData === undefined)(
  `finds what to train in third-party classifiers${needsTestData}`,
  async () => {
    const path = join(testData!, 'models-cifar10', 'cifar10_resnet20.onnx')
    const input = { range: [0, 255] as [number, number], channels: 'rgb', layout: 'nchw' } as const
    const prepared = await prepareGiven(path, { ...input, resize: 'bicubic', labelOffset: 0 })
    const network = networkFrom(prepared.graph)
    expect(network.shape).toEqual([3, 32, 32])
    expect(network.classes).toBe(10)
    const kernels = network.weights.filter(({ role }) => role === 'kernel')
    const convolutions = (await readModel(path)).graph.nodes.filter(({ opType }) => opType === 'Conv')
    expect(kernels).toHaveLength(convolutions.length + 1)
  },
)
