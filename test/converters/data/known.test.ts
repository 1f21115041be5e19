import { createHash } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { openData } from '../../../converters/data/open.ts'
import type { DatasetManifest } from '../../../manifests/schema/dataset.ts'
import { datasetSuite } from './dataset.suite.ts'
import { folderWith, idx } from './files.ts'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A folder as `zoo data pull` leaves it. */
function known(
  format: 'idx' | 'cifar',
  shape: [number, number, number],
  splits: DatasetManifest['splits'],
  files: Record<string, Buffer>,
): string {
  const manifest = {
    ...{ schemaVersion: 1, name: 'tiny', title: 'Tiny', description: 'for tests', format, shape },
    ...{
      classes: Array.from({ length: 10 }, (_, i) => `class ${i}`),
      splits,
      licence: 'CC0',
      authors: ['A. Tester'],
    },
    homepage: 'https://data.example',
    files: Object.entries(files).map(([path, bytes]) => ({
      ...{ path, size: bytes.length, sha256: sha256(bytes), sources: ['https://data.example/x'] },
    })),
  }
  return folderWith({ ...files, 'dataset.json': JSON.stringify(manifest) })
}

const bytes = (length: number, seed: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, i) => (i * 31 + seed) % 256))
const split = (examples: number, images: string[], labels: string[] = []) => ({ examples, images, labels })

const idxFiles = {
  'train-images': idx([6, 2, 3], bytes(36, 1)),
  'train-labels': idx([6], Buffer.from([0, 1, 2, 3, 4, 5])),
  'test-images.gz': gzipSync(idx([4, 2, 3], bytes(24, 2))),
  'test-labels.gz': gzipSync(idx([4], Buffer.from([9, 8, 7, 6]))),
}
const idxSplits = {
  train: split(6, ['train-images'], ['train-labels']),
  test: split(4, ['test-images.gz'], ['test-labels.gz']),
}
const idxFolder = known('idx', [1, 2, 3], idxSplits, idxFiles)

const record = (label: number, seed: number): Buffer =>
  Buffer.concat([Buffer.from([label]), bytes(3072, seed)])
const cifarFolder = known(
  'cifar',
  [3, 32, 32],
  { train: split(3, ['one.bin', 'two.bin']), test: split(2, ['test.bin']) },
  {
    'one.bin': Buffer.concat([record(3, 1), record(4, 2)]),
    'two.bin': record(5, 3),
    'test.bin': Buffer.concat([record(6, 4), record(7, 5)]),
  },
)

describe('idx', () => datasetSuite(() => openData(`${idxFolder}:train`)))
describe('gzipped idx', () => datasetSuite(() => openData(idxFolder)))
describe('cifar', () => datasetSuite(() => openData(`${cifarFolder}:train`)))

describe('a data set that was pulled', () => {
  it('is its test split unless another is asked for', async () => {
    const test = await openData(idxFolder)
    expect(test).toMatchObject({ name: 'tiny', size: 4, shape: [1, 2, 3] })
    expect(test.classes?.[9]).toBe('class 9')
    const batch = await test.read([3, 0])
    expect(batch.labels).toEqual(Int32Array.from([6, 9]))
    expect(batch.images).toEqual(
      Float32Array.from([...bytes(24, 2).subarray(18), ...bytes(24, 2).subarray(0, 6)], (b) => b / 255),
    )
    const train = await openData(`${idxFolder}:train`)
    expect(train).toMatchObject({ name: 'tiny:train', size: 6 })
    expect(train.sha256).not.toBe(test.sha256)
    expect((await openData(`${idxFolder}:test`)).sha256).toBe(test.sha256)
  })

  it('is read across its files', async () => {
    const { images, labels } = await (await openData(`${cifarFolder}:train`)).read([2, 1, 0])
    expect(labels).toEqual(Int32Array.from([5, 4, 3]))
    for (const [i, seed] of [3, 2, 1].entries())
      expect(images.slice(i * 3072, (i + 1) * 3072)).toEqual(
        Float32Array.from(bytes(3072, seed), (b) => b / 255),
      )
  })

  it('is resized once, on reading', async () => {
    const data = await openData(cifarFolder, { size: [16, 16], resize: 'bilinear' })
    expect(data.shape).toEqual([3, 16, 16])
    const whole = await (await openData(cifarFolder)).read([0])
    const small = await data.read([0])
    const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length
    expect(mean(small.images)).toBeCloseTo(mean(whole.images), 2)
    expect((await openData(cifarFolder, { size: [32, 32] })).sha256).toBe(
      (await openData(cifarFolder)).sha256,
    )
  })

  it('is found by name where someone knows the place', async () => {
    const asked: string[] = []
    const locate = async (name: string): Promise<string> => {
      asked.push(name)
      return idxFolder
    }
    expect((await openData('tiny:train', { locate })).size).toBe(6)
    expect(asked).toEqual(['tiny'])
    await expect(openData('tiny')).rejects.toMatchObject({ code: 'not-found', hint: 'zoo data pull tiny' })
  })
})

describe('a data set that is not whole', () => {
  const broken = (change: (folder: string) => void) => {
    const folder = known('idx', [1, 2, 3], idxSplits, idxFiles)
    change(folder)
    return openData(`${folder}:train`)
  }
  it('lacks a file', async () => {
    const opened = broken((folder) => rmSync(join(folder, 'train-images')))
    await expect(opened).rejects.toMatchObject({ code: 'invalid-data', hint: 'zoo data pull tiny' })
  })
  it('has a file of another length', async () => {
    const opened = broken((folder) => writeFileSync(join(folder, 'train-images'), 'x'))
    await expect(opened).rejects.toMatchObject({
      code: 'invalid-data',
      message: expect.stringContaining('damaged'),
    })
  })

  const manifests: [string, Record<string, Buffer>, RegExp][] = [
    ['other extents', { ...idxFiles, 'train-images': idx([6, 3, 2], bytes(36, 1)) }, /don't hold 2x3 images/],
    ['fewer labels', { ...idxFiles, 'train-labels': idx([5], bytes(5, 0)) }, /with a label each/],
    [
      'a class too high',
      { ...idxFiles, 'train-labels': idx([6], Buffer.from([0, 1, 2, 3, 4, 10])) },
      /are not 6 of 10/,
    ],
    ['a wrong header', { ...idxFiles, 'train-images': bytes(52, 1) }, /not an IDX file/],
    [
      'a wrong length',
      { ...idxFiles, 'train-images': idx([6, 2, 3], bytes(35, 1)) },
      /its header announces 52/,
    ],
  ]
  for (const [what, files, message] of manifests)
    it(`has ${what}`, async () => {
      await expect(openData(`${known('idx', [1, 2, 3], idxSplits, files)}:train`)).rejects.toMatchObject({
        ...{ code: 'invalid-data', message: expect.stringMatching(message) },
      })
    })

  it('has no such split', async () => {
    const folder = known('idx', [1, 2, 3], { test: idxSplits.test }, idxFiles)
    await expect(openData(`${folder}:train`)).rejects.toMatchObject({
      code: 'invalid-data',
      hint: 'it has test',
    })
  })
})

describe('data that is not there', () => {
  it.each([
    ['./nowhere', 'not-found'],
    ['nowhere.npz', 'not-found'],
    [import.meta.filename, 'invalid-data'],
    [`${folderWith({})}:train`, 'usage'],
  ])('%s', async (spec, code) => {
    await expect(openData(spec)).rejects.toMatchObject({ code })
  })
})
