import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openData } from '../../../converters/data/open.ts'
import { datasetSuite } from './dataset.suite.ts'
import { folderWith, npy, npz } from './files.ts'

const file = (bytes: Uint8Array): string => join(folderWith({ 'data.npz': bytes }), 'data.npz')

/** Four 2x5 images in three channels as bytes, and what they are in [0,1] in planes. */
const COUNT = 4
const last = Uint8Array.from({ length: COUNT * 2 * 5 * 3 }, (_, i) => (i * 37) % 256)
const planes = new Float32Array(last.length)
for (let n = 0; n < COUNT; n++)
  for (let p = 0; p < 10; p++)
    for (let c = 0; c < 3; c++) planes[(n * 3 + c) * 10 + p] = last[(n * 10 + p) * 3 + c]! / 255
const y = npy(BigInt64Array.from([3n, 1n, 0n, 2n]), [COUNT])
const all = [0, 1, 2, 3]

datasetSuite(() => openData(stored))
const stored = file(npz({ x: npy(last, [COUNT, 2, 5, 3]), y }))

describe('an .npz', () => {
  const forms = {
    'uint8, channels last': npy(last, [COUNT, 2, 5, 3]),
    'float32, channels first': npy(planes, [COUNT, 3, 2, 5]),
    'float32, channels last': npy(
      Float32Array.from(last, (value) => value / 255),
      [COUNT, 2, 5, 3],
    ),
  }
  for (const [form, x] of Object.entries(forms))
    for (const level of [0, 6] as const)
      it(`is read as planes in [0,1]: ${form}, ${level === 0 ? 'stored' : 'compressed'}`, async () => {
        const data = await openData(file(npz({ x, y }, level)))
        expect(data).toMatchObject({ name: 'data', size: COUNT, shape: [3, 2, 5], classes: null })
        const batch = await data.read(all)
        expect(batch.images).toEqual(planes)
        expect(batch.labels).toEqual(Int32Array.from([3, 1, 0, 2]))
        expect(batch.targets).toBeUndefined()
        expect(batch.eps).toBeUndefined()
      })

  it('may have grey images without an axis for channels', async () => {
    const x = npy(
      Uint8Array.from({ length: 24 }, (_, i) => i),
      [2, 3, 4],
    )
    const data = await openData(file(npz({ x, y: npy(Uint8Array.from([0, 1]), [2]) })))
    expect(data.shape).toEqual([1, 3, 4])
    expect((await data.read([1])).images[0]).toBeCloseTo(12 / 255, 6)
  })

  it('may have a target and a budget for each example', async () => {
    const target = npy(Int32Array.from([0, 0, 1, 1]), [COUNT])
    const eps = npy(Float64Array.from([0.1, 0.2, 0.3, 0]), [COUNT])
    const batch = await (
      await openData(file(npz({ x: forms['uint8, channels last'], y, target, eps })))
    ).read([1, 3])
    expect(batch.targets).toEqual(Int32Array.from([0, 1]))
    expect(batch.eps).toEqual(Float32Array.from([0.2, 0]))
  })

  it('has labels of any integer type', async () => {
    for (const labels of [Uint8Array, Int8Array, Int16Array, Int32Array]) {
      const x = npy(last, [COUNT, 2, 5, 3])
      const data = await openData(file(npz({ x, y: npy(labels.from([3, 1, 0, 2]), [COUNT]) })))
      expect((await data.read(all)).labels).toEqual(Int32Array.from([3, 1, 0, 2]))
    }
  })

  it('keeps every value of any images', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 4, max: 7 }),
        fc.constantFrom(1, 3),
        fc.infiniteStream(fc.integer({ min: 0, max: 255 })),
        async (count, side, channels, values) => {
          const bytes = Uint8Array.from({ length: count * side * side * channels }, () => values.next().value)
          const labels = npy(new Uint8Array(count), [count])
          const data = await openData(file(npz({ x: npy(bytes, [count, channels, side, side]), y: labels })))
          const { images } = await data.read(Array.from({ length: count }, (_, i) => i))
          expect(Array.from(images, (value) => Math.round(value * 255))).toEqual([...bytes])
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('an .npz that will not do', () => {
  const x = npy(last, [COUNT, 2, 5, 3])
  const floats = (values: readonly number[]) => npy(Float32Array.from(values), [1, 1, 2, values.length / 2])
  const one = npy(Uint8Array.from([0]), [1])
  const wrong: [string, Record<string, Uint8Array>, RegExp, RegExp][] = [
    ['no images', { y }, /no array x/, /np\.savez/],
    ['no labels', { x }, /no array y/, /np\.savez/],
    ['a misspelt array', { x, y, targets: y }, /an array targets, which would be ignored/, /target and eps/],
    ['no examples', { x: npy(new Uint8Array(0), [0, 2, 5, 3]), y }, /holds no images/, /^$/],
    [
      'fewer labels',
      { x, y: npy(Uint8Array.from([0]), [1]) },
      /shape \(1\) for 4 images/,
      /one entry for each/,
    ],
    ['one-hot labels', { x, y: npy(new Float32Array(40), [4, 10]) }, /shape \(4, 10\)/, /one entry for each/],
    [
      'fractional labels',
      { x, y: npy(Float32Array.from([0, 0.5, 1, 1]), [4]) },
      /y\[1\].*is 0.5/,
      /class numbers/,
    ],
    [
      'negative labels',
      { x, y: npy(Int8Array.from([0, -1, 1, 1]), [4]) },
      /-1 is negative/,
      /--label-offset/,
    ],
    ['values up to 255', { x: floats([0, 255, 3, 7]), y: one }, /x\[0\].*holds 255/, /divide by 255/],
    ['negative values', { x: floats([0, -1.5, 3, 7]), y: one }, /holds -1\.5/, /undo the normalisation/],
    ['not-a-number', { x: floats([0, Number.NaN, 0, 0]), y: one }, /holds NaN/, /NaN/],
    [
      'float64 images',
      { x: npy(new Float64Array(6), [1, 2, 3, 1]), y: one },
      /type f8/,
      /astype\(np\.float32\)/,
    ],
    [
      'no clear channels',
      { x: npy(new Uint8Array(27), [1, 3, 3, 3]), y: one },
      /not clearly images/,
      /1 or 3 channels/,
    ],
    [
      'column-major images',
      { x: npy(last, [COUNT, 2, 5, 3], { order: 'True' }), y },
      /column-major/,
      /ascontiguous/,
    ],
    [
      'big-endian labels',
      { x, y: npy(new Int32Array(4), [4], { descr: '>i4' }) },
      /big-endian/,
      /astype\('<i4'\)/,
    ],
    ['cut images', { x: npy(last, [COUNT + 1, 2, 5, 3]), y: npy(new Uint8Array(5), [5]) }, /cut off/, /^$/],
    ['text for labels', { x, y: npy(new Uint8Array(4), [4], { descr: '|S1' }) }, /type S1/, /^$/],
    [
      'an infinite budget',
      { x, y, eps: npy(Float32Array.from([0, Number.POSITIVE_INFINITY, 0, 0]), [4]) },
      /eps\[1\]/,
      /^$/,
    ],
  ]
  for (const [what, arrays, message, hint] of wrong)
    it(`is told what it lacks: ${what}`, async () => {
      const failure: { code?: string; message: string; hint?: string } = await openData(
        file(npz(arrays)),
      ).then(
        () => ({ message: 'was opened' }),
        (error) => error,
      )
      expect(failure.code).toBe('invalid-data')
      expect(failure.message).toMatch(message)
      expect(failure.hint ?? '').toMatch(hint)
    })

  it('has labels that are no classes of the model', async () => {
    const path = file(npz({ x, y: npy(Uint8Array.from([1, 2, 3, 4]), [4]) }))
    await expect(openData(path, { classes: 4 })).rejects.toMatchObject({
      code: 'invalid-data',
      message: expect.stringContaining('4 is no class of a model with 4, which has 0 to 3'),
      hint: 'the labels count from 1: --label-offset -1 makes them count from 0',
    })
    expect(await openData(path, { classes: 4, labelOffset: -1 })).toMatchObject({ size: 4 })
    await expect(openData(path, { classes: 4, labelOffset: 1 })).rejects.toMatchObject({
      code: 'invalid-data',
    })
  })

  it('is no archive, or a damaged one', async () => {
    for (const bytes of [
      Buffer.from('hello'),
      Buffer.alloc(0),
      npz({ x, y }).subarray(0, 300),
      Buffer.concat([
        npz({ x, y }, 6).subarray(0, 40),
        Buffer.alloc(60, 255),
        npz({ x, y }, 6).subarray(100),
      ]),
    ])
      await expect(openData(file(bytes))).rejects.toMatchObject({ code: 'invalid-data' })
  })

  it('never does worse than say so, whatever bytes it has', async () => {
    const whole = npz({ x, y })
    const path = file(whole)
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }), async (at, value) => {
        const bytes = Buffer.from(whole)
        bytes[at] = value
        writeFileSync(path, bytes)
        const error = await openData(path).then(
          () => undefined,
          (failure) => failure,
        )
        if (error !== undefined) expect(error).toMatchObject({ name: 'ZooError', code: 'invalid-data' })
      }),
      { numRuns: 300 },
    )
  })
})
