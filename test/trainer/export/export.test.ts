import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { prepareClassifier } from '../../../converters/onnx/classifier.ts'
import { readModel } from '../../../converters/onnx/file.ts'
import type { Model } from '../../../converters/onnx/graph.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { readCheckpoint } from '../../../trainer/checkpoint/checkpoint.ts'
import { type Export, type ExportOptions, exportRun, writeExport } from '../../../trainer/export.ts'
import { noise, type Saved, savedRun } from './saved-run.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-export-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Exported from the run of that name, which is made with the first export from it. */
async function exported(name: string, saved: Saved, options: ExportOptions = {}): Promise<Export> {
  const run = join(folder, name)
  if (!existsSync(run)) await savedRun(run, saved)
  return exportRun(run, { backend: 'wasm', open: async () => noise(20), ...options })
}

async function run(model: Model | string, count: number): Promise<Float32Array> {
  const { images } = await noise(count).read(Array.from({ length: count }, (_, i) => i))
  const session = await openSession(model, { threads: 1 })
  try {
    return (await session.run({ image: Tensor.float32([count, 3, 8, 8], images) })).logits!.floats
  } finally {
    await session.release()
  }
}

const operators = ({ graph }: Model): Set<string> => new Set(graph.nodes.map(({ opType }) => opType))

const NORMS: Record<string, object> = {
  batch: { norm: { kind: 'batch' } },
  mixture: { norm: { kind: 'mixture' } },
  'mixture of statistics': { norm: { kind: 'mixture', separate: 'statistics' } },
  group: { norm: { kind: 'group', groups: 2 } },
  instance: { norm: { kind: 'instance' }, activation: 'silu' },
  none: { norm: { kind: 'none' }, activation: 'softplus', padding: 'same' },
}

describe.each(Object.entries(NORMS))('%s norm', (name, network) => {
  it('is exported as the trainer computes it', async () => {
    const { model, parity, manifest } = await exported(name, { network })
    expect(parity).toMatchObject({ data: 'noise', images: 20, backend: 'wasm', failures: [] })
    expect(parity.logits.largest).toBeLessThan(1e-5)
    expect(parity.folding.largest).toBeLessThan(1e-5)
    expect(parity.gradient).toBeLessThan(1e-3)
    expect(parity.logits.otherClass + parity.folding.otherClass).toBe(0)
    expect(model.opsets).toEqual(new Map([['', 18]]))
    expect(model.graph.nodes.every(({ domain }) => domain === '')).toBe(true)
    expect(operators(model).has('BatchNormalization')).toBe(false)
    expect(operators(model).has('InstanceNormalization')).toBe(name === 'group' || name === 'instance')
    expect(manifest.normalisation).toBe(name.split(' ')[0])
  })
})

it('folds in float64 and rounds once', async () => {
  const { model } = await exported('batch', { network: NORMS.batch! })
  const { tensors } = (await readCheckpoint(join(folder, 'batch')))!
  const learnt = (name: string): Float32Array => tensors.get(`weight/${name}`)!.floats
  const kernel = learnt('stem.conv/kernel')
  const [scale, variance] = [learnt('stem.norm/main/scale'), learnt('stem.norm/main/variance')]
  // The operator's epsilon is a float32.
  const epsilon = Math.fround(1e-5)
  const expected = kernel.map((weight, i) => {
    const channel = Math.floor(i / 27)
    return weight * (scale[channel]! / Math.sqrt(variance[channel]! + epsilon))
  })
  expect(model.graph.initializers.get('stem.conv/kernel')!.floats).toEqual(expected)
})

it('exports one branch of a mixture, and nothing of the other', async () => {
  const branches = {
    adv: await exported('mixture', {}),
    clean: await exported('mixture', {}, { branch: 'clean' }),
  }
  for (const [branch, { model, manifest, parity }] of Object.entries(branches)) {
    expect(manifest.branch).toBe(branch)
    expect(manifest.name).toBe(branch === 'adv' ? 'tiny' : 'tiny-clean')
    expect(parity.failures).toEqual([])
    expect([...model.graph.initializers.keys()].filter((name) => /\/(adv|clean)\//.test(name))).toEqual([])
  }
  expect(await run(branches.adv.model, 4)).not.toEqual(await run(branches.clean.model, 4))
  await expect(exported('batch', {}, { branch: 'adv' })).rejects.toMatchObject({ code: 'usage' })
})

it('exports moving averages where they were kept', async () => {
  const { model, parity } = await exported('averaged', { averageBias: 12.5 })
  expect(parity.failures).toEqual([])
  expect([...model.graph.initializers.get('classifier/bias')!.floats]).toEqual([12.5, 12.5, 12.5])
})

describe('batch', () => {
  it('is symbolic unless told otherwise', async () => {
    const { model } = await exported('batch', {})
    expect(model.graph.inputs[0]!.dims).toEqual(['N', 3, 8, 8])
    const all = await run(model, 5)
    expect(await run(model, 1)).toEqual(all.slice(0, 3))
  })

  it('of one size is the only one that the file takes', async () => {
    const any = await exported('batch', {})
    // 20 images are no multiple of 8: the comparison has to fill the last batch.
    const { model, parity } = await exported('batch', {}, { batch: 8 })
    expect([...model.graph.inputs, ...model.graph.outputs].map(({ dims }) => dims)).toEqual([
      [8, 3, 8, 8],
      [8, 3],
    ])
    expect(parity).toMatchObject({ images: 20, failures: [] })
    expect(await run(model, 8)).toEqual(await run(any.model, 8))
    await expect(run(model, 7)).rejects.toMatchObject({ code: expect.any(String) })
  })

  it('may be larger than the data', async () => {
    const { parity } = await exported('batch', {}, { batch: 32 })
    expect(parity).toMatchObject({ images: 20, failures: [] })
  })
})

describe('float16', () => {
  it('halves the kernels, not the interface, and is close to the trainer', async () => {
    const { model, parity } = await exported('mixture', {}, { float16: true })
    const { initializers, inputs, outputs } = model.graph
    for (const [name, { dtype }] of initializers)
      expect([name, dtype]).toEqual([
        name,
        name.endsWith('/kernel') ? 'float16' : expect.not.stringMatching('float16'),
      ])
    expect([...inputs, ...outputs].map(({ dtype }) => dtype)).toEqual(['float32', 'float32'])
    expect(parity).toMatchObject({ kernels: 'float16', failures: [], tolerance: { logits: 2e-3 } })
    expect(parity.logits.largest).toBeGreaterThan(1e-5)
    expect(parity.logits.largest).toBeLessThan(2e-3)
    // What folding does is judged on its own.
    expect(parity.folding.largest).toBeLessThan(1e-5)
  })

  it('is refused where a kernel has no room in it, and no model is written', async () => {
    const huge = await exported('huge', { logitScale: 1e8, network: NORMS.batch! }, { float16: true })
    const path = join(folder, 'out', 'huge.onnx')
    await expect(writeExport(huge, path)).rejects.toMatchObject({
      code: 'check-failed',
      exitCode: 3,
      message: expect.stringContaining('logits differ'),
    })
    expect(readdirSync(join(folder, 'out'))).toEqual(['huge.parity.failed.json'])
    const { failures, kernels } = JSON.parse(
      readFileSync(join(folder, 'out', 'huge.parity.failed.json'), 'utf8'),
    )
    expect([kernels, failures.length > 0]).toEqual(['float16', true])
    await writeExport(await exported('huge', {}), path)
    expect(readdirSync(join(folder, 'out')).sort()).toEqual([
      'huge.manifest.json',
      'huge.md',
      'huge.onnx',
      'huge.parity.json',
    ])
  })
})

it('leaves mean and std to the manifest where asked', async () => {
  const saved = { network: { mean: [0.4, 0.5, 0.6], std: [0.25] } }
  const inside = await exported('normalising', saved)
  const outside = await exported('normalising', saved, { preprocessing: 'manifest' })
  expect(inside.manifest.input).not.toHaveProperty('mean')
  expect(operators(inside.model)).toContain('Sub')
  expect(outside.manifest.input).toMatchObject({ range: [0, 1], mean: [0.4, 0.5, 0.6], std: [0.25] })
  expect(JSON.parse(outside.model.metadata.get('input')!)).toEqual(outside.manifest.input)
  expect(operators(outside.model)).not.toContain('Sub')
  expect(operators(outside.model)).not.toContain('Div')
  expect(outside.parity.failures).toEqual([])
  const { model } = await prepareClassifier(outside.model, { input: outside.manifest.input })
  const expected = await run(inside.model, 6)
  for (const [i, value] of (await run(model, 6)).entries()) expect(value).toBeCloseTo(expected[i]!, 4)
  // The raw file on raw images is another classifier: the comparison must have normalised.
  expect(Math.abs((await run(outside.model, 6))[0]! - expected[0]!)).toBeGreaterThan(1e-3)
})

it('writes large weights beside the model, aligned, and lists them', async () => {
  const wide = await exported('wide', { network: { width: 16 } })
  const path = join(folder, 'external', 'wide.onnx')
  const manifest = await writeExport(wide, path, { externalAbove: 0 })
  expect(manifest.files.map((file) => file.path)).toEqual([
    'wide.onnx',
    'wide.onnx.data',
    'wide.parity.json',
    'wide.md',
  ])
  for (const { path: name, size } of manifest.files)
    expect(statSync(join(folder, 'external', name)).size).toBe(size)
  const places = [...(await readModel(path)).graph.initializers.values()].flatMap(({ file }) => file ?? [])
  expect(places.length).toBeGreaterThan(3)
  for (const { offset } of places) expect(offset % 4096).toBe(0)
  expect(await run(path, 4)).toEqual(await run(wide.model, 4))
  // Written again without, nothing of it stays.
  await writeExport(wide, path)
  expect(existsSync(`${path}.data`)).toBe(false)
})

it('says in file, manifest and card what was exported', async () => {
  const options = { name: 'my-model', version: '2.1', opset: 15, batch: 4, float16: true } as const
  const made = await exported('mixture', {}, options)
  const path = join(folder, 'said', 'm.onnx')
  const manifest = await writeExport(made, path)
  expect(JSON.parse(readFileSync(join(folder, 'said', 'm.manifest.json'), 'utf8'))).toEqual(manifest)
  expect(JSON.parse(readFileSync(join(folder, 'said', 'm.parity.json'), 'utf8'))).toEqual(made.parity)
  expect(manifest).toMatchObject({
    name: 'my-model',
    version: '2.1',
    depth: 8,
    opset: 15,
    branch: 'adv',
    dataset: 'noise',
    classes: ['class 0', 'class 1', 'class 2'],
    threat: { norm: 'linf', eps: 8 / 255, targeted: false },
    licence: 'CC-BY-4.0',
    method: 'pgd-at',
    cleanRatio: 1,
    recipe: { name: 'tiny', seed: 0 },
  })
  expect(manifest.trainingData).toBe(`noise (80 images, sha256 ${'a'.repeat(64)}), 80 images seen`)

  const { metadata, opsets } = await readModel(path)
  expect(opsets.get('')).toBe(15)
  expect(Object.fromEntries(metadata)).toEqual({
    name: 'my-model',
    version: '2.1',
    description: 'A tiny network of drawn weights.',
    branch: 'adv',
    recipe: 'tiny',
    recipe_sha256: manifest.recipe!.sha256,
    input: JSON.stringify(manifest.input),
    output: 'logits',
    classes: '["class 0","class 1","class 2"]',
    licence: 'CC-BY-4.0',
    training_data: manifest.trainingData,
    threat: JSON.stringify(manifest.threat),
  })

  const card = readFileSync(join(folder, 'said', 'm.md'), 'utf8')
  for (const fact of [
    '# my-model 2.1',
    'A tiny network of drawn weights.',
    'mixture batch norm**: `adv`',
    'float32 [4, 3, 8, 8]: rgb in [0,1]',
    'class 0, class 1, class 2',
    'opset 15; kernels in float16',
    `**Recipe**: \`tiny\` (sha256 ${manifest.recipe!.sha256})`,
    'linf, eps',
    'CC-BY-4.0',
    'zoo eval m.onnx',
    made.parity.logits.largest.toExponential(1),
    made.parity.gradient.toExponential(1),
  ])
    expect(card).toContain(fact)
})

it('counts parameters and operations', async () => {
  const { manifest } = await exported('batch', {})
  // Stem 3x3 of 3 to 4; six 3x3; two projections; classifier 16 to 3. Scale and bias for each norm.
  const kernels = 9 * (3 * 4 + 4 * 4 * 2 + (4 * 8 + 8 * 8) + (8 * 16 + 16 * 16)) + 4 * 8 + 8 * 16 + 16 * 3
  const norms = 2 * (4 * 3 + 8 * 3 + 16 * 3)
  expect(manifest.parameters).toBe(kernels + norms + 3)
  // Outputs of 8x8, 4x4 and 2x2.
  const products =
    9 * (64 * (3 * 4 + 4 * 4 * 2) + 16 * (4 * 8 + 8 * 8) + 4 * (8 * 16 + 16 * 16)) +
    (16 * 4 * 8 + 4 * 8 * 16) +
    16 * 3
  expect(manifest.flops).toBe(2 * products)
})

it.each([
  [{ opset: 12 }, 'usage'],
  [{ opset: 27 }, 'usage'],
  [{ name: 'Not A Name' }, 'invalid-manifest'],
])('refuses %j', async (options, code) => {
  await expect(exported('batch', {}, options)).rejects.toMatchObject({ code })
})

it('exports nothing where there is nothing', async () => {
  await expect(exportRun(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'not-found' })
  await expect(writeExport(await exported('batch', {}), join(folder, 'x.bin'))).rejects.toMatchObject({
    code: 'usage',
  })
})
