import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readModel } from '../../../converters/onnx/file.ts'
import { writeNpz } from '../../npz.ts'
import { noise, savedRun } from '../../trainer/export/saved-run.ts'
import { runZoo } from './run-zoo.ts'

let folder: string
let sound: string
let outsized: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-export-'))
  const data = join(folder, 'noise.npz')
  const { images, labels } = await noise(12).read(Array.from({ length: 12 }, (_, i) => i))
  writeNpz(data, { x: images, shape: [12, 3, 8, 8], y: [...labels] })
  sound = await savedRun(join(folder, 'sound'), { data, network: { mean: [0.5], std: [0.25] } })
  outsized = await savedRun(join(folder, 'outsized'), { data, logitScale: 1e8 })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('zoo export', () => {
  it('writes the file as asked, with manifest, card and report', async () => {
    const path = join(folder, 'out', 'small.onnx')
    const how = ['--float16', '--batch', '4', '--opset', '13', '--preprocessing', 'manifest']
    const args = ['export', sound, '-o', path, '--backend', 'wasm', '--json', ...how]
    const { code, stdout } = await runZoo(args, folder)
    expect(code).toBe(0)
    const { manifest, parity } = JSON.parse(stdout)
    expect(manifest).toMatchObject({ name: 'tiny', opset: 13, input: { mean: [0.5], std: [0.25] } })
    expect(parity).toMatchObject({ images: 12, kernels: 'float16', failures: [] })
    expect(readdirSync(join(folder, 'out')).sort()).toEqual([
      'small.manifest.json',
      'small.md',
      'small.onnx',
      'small.parity.json',
    ])
    const { graph, opsets } = await readModel(path)
    expect(opsets.get('')).toBe(13)
    expect(graph.inputs[0]!.dims).toEqual([4, 3, 8, 8])
    expect(graph.initializers.get('classifier/kernel')!.dtype).toBe('float16')
  })

  it('exits 3 and writes no model where the file is not what was trained', async () => {
    const path = join(folder, 'refused', 'huge.onnx')
    const args = ['export', outsized, '-o', path, '--backend', 'wasm', '--float16', '--json']
    const { code, stdout, stderr } = await runZoo(args, folder)
    expect(code).toBe(3)
    expect(stderr).toContain("zoo: the exported file doesn't equal the trained network: logits differ by")
    expect(JSON.parse(stdout).error).toMatchObject({
      code: 'check-failed',
      hint: expect.stringContaining('huge.parity.failed.json'),
    })
    expect(existsSync(path)).toBe(false)
  })

  it.each([
    ['--opset', '12'],
    ['--batch', 'some'],
    ['--preprocessing', 'never'],
  ])('refuses %s %s', async (option, value) => {
    const { code, stderr } = await runZoo(['export', sound, '-o', 'x.onnx', option, value], folder)
    expect(code).toBe(2)
    expect(stderr).toContain(value)
  })
})
