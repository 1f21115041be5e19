import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { parseCsv } from '../../../converters/data/csv.ts'
import { openData } from '../../../converters/data/open.ts'
import { needsTestData, testData } from '../../data.ts'
import { datasetSuite } from './dataset.suite.ts'
import { folderWith } from './files.ts'

type Pixel = readonly [number, number, number]

/** A PNG of one colour. */
const plain = ([r, g, b]: Pixel, width = 4, height = 3): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
    .png()
    .toBuffer()

const grey = (value: number): Promise<Buffer> =>
  sharp(Buffer.alloc(12, value), { raw: { width: 4, height: 3, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer()

const images = { 'a.png': await plain([255, 0, 51]), 'b.png': await plain([0, 102, 204]) }
const odd = await plain([0, 0, 0], 5, 5)
const csv = 'file,label\na.png,3\nb.png,0\n'

datasetSuite(async () => openData(place))
const place = folderWith({ ...images, 'labels.csv': csv })

describe('a folder of images', () => {
  it('is read as planes of red, green and blue', async () => {
    const data = await openData(place)
    expect(data).toMatchObject({ size: 2, shape: [3, 3, 4], classes: null })
    const { images, labels } = await data.read([0, 1])
    expect(labels).toEqual(Int32Array.from([3, 0]))
    const means = Array.from({ length: 6 }, (_, plane) => images[plane * 12]!)
    for (const [i, value] of [1, 0, 0.2, 0, 0.4, 0.8].entries()) expect(means[i]).toBeCloseTo(value, 6)
  })

  it('may keep the images in a folder of their own', async () => {
    const folder = folderWith({
      'labels.csv': csv,
      'images/a.png': images['a.png'],
      'images/b.png': images['b.png'],
    })
    expect((await openData(folder)).size).toBe(2)
  })

  it('has one channel where every image is grey, and three where one is not', async () => {
    const greys = { 'a.png': await grey(0), 'b.png': await grey(255) }
    const data = await openData(folderWith({ ...greys, 'labels.csv': csv }))
    expect(data.shape).toEqual([1, 3, 4])
    expect((await data.read([1])).images).toEqual(new Float32Array(12).fill(1))
    const mixed = await openData(
      folderWith({ 'a.png': greys['a.png'], 'b.png': images['b.png'], 'labels.csv': csv }),
    )
    expect(mixed.shape).toEqual([3, 3, 4])
  })

  it('drops alpha', async () => {
    const background = { r: 255, g: 0, b: 51, alpha: 0.5 }
    const clear = await sharp({ create: { width: 4, height: 3, channels: 4, background } })
      .png()
      .toBuffer()
    const data = await openData(folderWith({ ...images, 'a.png': clear, 'labels.csv': csv }))
    expect((await data.read([0])).images[0]).toBeCloseTo(1, 6)
  })

  it('may give a target and a budget for each image', async () => {
    const text = 'label,file,eps,target,author\n3,a.png,0.1,0,"Doe, J."\n0,b.png,0,1,"""B"""\n'
    const batch = await (await openData(folderWith({ ...images, 'labels.csv': text }))).read([1, 0])
    expect(batch.targets).toEqual(Int32Array.from([1, 0]))
    expect(batch.eps).toEqual(Float32Array.from([0, 0.1]))
  })

  it('is resized on reading to the size that the model takes, and another size is another data set', async () => {
    const [small, large] = [await openData(place, { size: [2, 2] }), await openData(place, { size: [6, 8] })]
    expect((await large.read([0])).images).toHaveLength(3 * 48)
    expect((await large.read([0])).images[100]).toBeCloseTo(0.2, 2)
    expect(new Set([small.sha256, large.sha256, (await openData(place)).sha256]).size).toBe(3)
  })

  it('is cut to the middle where the shape differs, and never stretched', async () => {
    const stripes = Buffer.alloc(8 * 4 * 3)
    for (let i = 0; i < 32; i++) stripes.fill(i % 8 < 2 || i % 8 >= 6 ? 255 : 0, i * 3, i * 3 + 3)
    const wide = await sharp(stripes, { raw: { width: 8, height: 4, channels: 3 } })
      .png()
      .toBuffer()
    const folder = folderWith({ 'a.png': wide, 'labels.csv': 'file,label\na.png,0\n' })
    const { images } = await (await openData(folder, { size: [4, 4], resize: 'nearest' })).read([0])
    expect(Math.max(...images)).toBe(0)
  })
})

describe('a folder of images that will not do', () => {
  const wrong: [string, Record<string, Uint8Array | string>, RegExp][] = [
    ['no list', { ...images }, /labels.csv is missing/],
    ['no column', { ...images, 'labels.csv': 'name,label\na.png,1\n' }, /has no column file/],
    ['no rows', { ...images, 'labels.csv': 'file,label\n' }, /names no image/],
    ['an absent image', { ...images, 'labels.csv': `${csv}c.png,1\n` }, /names c.png, which is not in/],
    ['a way out', { ...images, 'labels.csv': 'file,label\n../a.png,1\n' }, /not a file inside the folder/],
    ['a word for a label', { ...images, 'labels.csv': 'file,label\na.png,cat\n' }, /line 2: label "cat"/],
    ['an empty label', { ...images, 'labels.csv': 'file,label\na.png,\n' }, /line 2: the label is missing/],
    [
      'half of the targets',
      { ...images, 'labels.csv': 'file,label,target\na.png,1,2\nb.png,1,\n' },
      /no target/,
    ],
    ['a negative budget', { ...images, 'labels.csv': 'file,label,eps\na.png,1,-1\n' }, /eps "-1"/],
    ['no image', { ...images, 'a.png': 'hello', 'labels.csv': csv }, /a.png is not an image/],
    ['several sizes', { ...images, 'a.png': odd, 'labels.csv': csv }, /differ in size/],
  ]
  for (const [what, files, message] of wrong)
    it(`is told what it lacks: ${what}`, async () => {
      await expect(openData(folderWith(files))).rejects.toMatchObject({
        ...{ code: 'invalid-data', message: expect.stringMatching(message) },
      })
    })

  it('has labels that are no classes of the model', async () => {
    await expect(openData(place, { classes: 3 })).rejects.toMatchObject({
      ...{ code: 'invalid-data', message: expect.stringContaining('label of a.png: 3 is no class') },
    })
  })

  it('is cut off in the middle of an image', async () => {
    const noisy = await sharp(Buffer.from(Array.from({ length: 3072 }, (_, i) => (i * i) % 251)), {
      raw: { width: 32, height: 32, channels: 3 },
    })
      .png()
      .toBuffer()
    const folder = folderWith({
      'a.png': noisy.subarray(0, noisy.length / 2),
      'labels.csv': 'file,label\na.png,0\n',
    })
    await expect((await openData(folder)).read([0])).rejects.toMatchObject({ code: 'invalid-data' })
  })
})

describe('comma-separated values', () => {
  it.each([
    ['a,b\n1,2\n', [{ a: '1', b: '2' }]],
    [
      'a,b\r\n1,2\r\n\r\n3,4',
      [
        { a: '1', b: '2' },
        { a: '3', b: '4' },
      ],
    ],
    ['a,b\n"x, y","say ""hi"""\n', [{ a: 'x, y', b: 'say "hi"' }]],
    ['a,b\n"two\nlines",2\n', [{ a: 'two\nlines', b: '2' }]],
    ['\uFEFFa,b\n1\n', [{ a: '1', b: '' }]],
    ['a\n', []],
    ['', []],
  ])('%j', (text, rows) => {
    expect(parseCsv(text).rows).toEqual(rows)
  })
})

describe.skipIf(testData === undefined)(`real photographs${needsTestData}`, () => {
  it('are opened with labels and targets, and read a batch at a time', async () => {
    const data = await openData(join(testData!, 'nips2017-imagenet-1000'), {
      size: [160, 160],
      classes: 1000,
    })
    expect(data).toMatchObject({ size: 1000, shape: [3, 160, 160] })
    const { images, labels, targets } = await data.read([0, 999])
    expect([labels[0], targets?.[0]]).toEqual([305, 778])
    const mean = images.reduce((sum, value) => sum + value, 0) / images.length
    expect(mean).toBeGreaterThan(0.2)
    expect(mean).toBeLessThan(0.8)
  })
})
