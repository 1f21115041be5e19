import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { readModel } from '../../../converters/onnx/file.ts'
import { randomised, saved } from '../../converters/tfjs/models.ts'
import { runZoo } from './run-zoo.ts'

const { layers } = tf

let folder: string
let classifier: string
let recurrent: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zoo-convert-'))
  classifier = await saved(
    randomised(
      tf.sequential({
        layers: [
          layers.conv2d({ inputShape: [12, 12, 3], filters: 4, kernelSize: 3, activation: 'relu' }),
          layers.globalAveragePooling2d({}),
          layers.dense({ units: 3, activation: 'softmax', name: 'scores' }),
        ],
      }),
    ),
  )
  recurrent = await saved(tf.sequential({ layers: [layers.lstm({ units: 2, inputShape: [3, 4] })] }))
})

describe('zoo convert', () => {
  it('writes the model and the report of its comparison with the original', async () => {
    const path = join(folder, 'good.onnx')
    const { code, stdout, stderr } = await runZoo(['convert', classifier, '-o', path, '--json'], folder)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const report = JSON.parse(stdout)
    expect(report).toMatchObject({
      source: {
        format: 'layers-model',
        path: classifier,
        files: [{ path: 'model.json' }, { path: 'weights.bin' }],
      },
      model: { path, layout: 'nhwc', nodes: 7, outputs: ['scores [N, 3]'] },
      parity: { passed: true, samples: 8, tolerance: 1e-4, outputs: [{ name: 'scores', sameTop1: 1 }] },
    })
    expect(JSON.parse(await readFile(join(folder, 'good.parity.json'), 'utf8'))).toEqual(report)
    const { graph, metadata } = await readModel(path)
    expect(graph.inputs[0]!.dims).toEqual(['N', 12, 12, 3])
    expect(metadata.get('source_sha256:weights.bin')).toBe(report.source.files[1].sha256)
  })

  it('exits 3 and writes no model where the two differ by more than the tolerance', async () => {
    const path = join(folder, 'strict.onnx')
    const args = ['convert', classifier, '-o', path, '--tolerance', '1e-12', '--json']
    const { code, stdout, stderr } = await runZoo(args, folder)
    expect(code).toBe(3)
    expect(stderr).toMatch(/^zoo: the converted model differs from the original: scores: largest difference/)
    expect(JSON.parse(stdout).error.code).toBe('check-failed')
    expect(existsSync(path)).toBe(false)
    const report = JSON.parse(await readFile(join(folder, 'strict.parity.json'), 'utf8'))
    expect(report.parity).toMatchObject({ passed: false, reference: 'tfjs cpu' })
  })

  it('exits 4 for a model that it cannot convert, and leaves nothing behind', async () => {
    const { code, stderr } = await runZoo(['convert', recurrent, '-o', join(folder, 'lstm.onnx')], folder)
    expect(code).toBe(4)
    expect(stderr).toContain('the model cannot be converted: layer class LSTM')
    expect((await readdir(folder)).filter((name) => name.startsWith('lstm'))).toEqual([])
  })

  it('converts without a comparison, with channels first, for one image', async () => {
    const path = join(folder, 'unchecked.onnx')
    const args = ['convert', classifier, '-o', path, '--no-parity', '--layout', 'nchw', '--batch', '1']
    const { code, stdout } = await runZoo(args, folder)
    expect(code).toBe(0)
    expect(stdout).toContain('not compared with the original')
    expect((await readModel(path)).graph.inputs[0]!.dims).toEqual([1, 3, 12, 12])
  })

  it.each([
    [['--range', '1'], 'give two numbers'],
    [['--samples', '0'], 'whole number from 1'],
    [['--seed', '-1'], 'whole number from 0'],
    [['--tolerance', 'none'], 'number above 0'],
    [['--layout', 'flat'], 'Allowed choices are nhwc, nchw'],
  ])('exits 2 for %j', async (args, message) => {
    const path = join(folder, 'usage.onnx')
    const { code, stderr } = await runZoo(['convert', classifier, '-o', path, ...args], folder)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })
})
