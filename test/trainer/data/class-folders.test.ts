import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { isClassFolders, openClassFolders } from '../../../trainer/data/class-folders.ts'
import { readPhoto } from '../../../trainer/data/photo.ts'
import type { TrainingSet } from '../../../trainer/data/training-set.ts'

let folder: string
let data: TrainingSet
/** 90x60: red falls to the right, green downwards. */
const pixels = Uint8Array.from({ length: 90 * 60 * 3 }, (_, i) => {
  const [x, y] = [Math.floor(i / 3) % 90, Math.floor(i / 270)]
  return i % 3 === 0 ? 250 - 2 * x : i % 3 === 1 ? 4 * y : 100
})

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-classes-'))
  for (const name of ['b-cat', 'a-dog']) mkdirSync(join(folder, name))
  const photo = sharp(pixels, { raw: { width: 90, height: 60, channels: 3 } })
  await photo.png().toFile(join(folder, 'a-dog', '1.png'))
  await photo.grayscale().toFile(join(folder, 'b-cat', '2.jpg'))
  writeFileSync(join(folder, 'b-cat', 'notes.txt'), 'no photo')
  data = await openClassFolders(folder, [32, 32])
})
afterAll(async () => {
  await data.close?.()
  rmSync(folder, { recursive: true })
})

it('numbers classes in alphabetical order and takes photos alone', async () => {
  expect(await isClassFolders(folder)).toBe(true)
  expect(await isClassFolders(join(folder, 'a-dog'))).toBe(false)
  expect(data.classes).toEqual(['a-dog', 'b-cat'])
  expect([data.size, data.shape]).toEqual([2, [3, 32, 32]])
  expect([...(await data.read([1, 0])).labels]).toEqual([1, 0])
  expect(data.sha256).toMatch(/^[0-9a-f]{64}$/)
})

it('cuts the middle out for validation', async () => {
  const { images } = await data.read([0])
  // 7/8 of the shortest edge, 52 or 53 pixels, around x = 45: red from 250 - 2·19 to 250 - 2·71.
  expect(images[16 * 32]! * 255).toBeGreaterThan(205)
  expect(images[16 * 32]! * 255).toBeLessThan(214)
  expect(images[16 * 32 + 31]! * 255).toBeCloseTo(109, -1)
  const green = images.subarray(1024, 2048)
  expect(green[16]! * 255).toBeCloseTo(4 * 4, -1)
})

it('varies photos by key and example alone, within [0,1]', async () => {
  const [first, again, other] = [
    await data.readVaried!([0, 1], [1, 2]),
    await data.readVaried!([1, 0], [1, 2]),
    await data.readVaried!([0, 1], [1, 3]),
  ]
  expect(again.images.subarray(3072)).toEqual(first.images.subarray(0, 3072))
  expect(other.images).not.toEqual(first.images)
  expect(first.images.every((value) => value >= 0 && value <= 1)).toBe(true)
  let mirrored = 0
  for (let key = 0; key < 60; key++) {
    const image = await readPhoto({ path: join(folder, 'a-dog', '1.png'), size: [8, 8], key: [key] })
    if (image[32]! < image[39]!) mirrored++
  }
  expect(mirrored).toBeGreaterThan(15)
  expect(mirrored).toBeLessThan(45)
})

it('names a photo that it cannot decode', async () => {
  writeFileSync(join(folder, 'b-cat', '9.jpg'), 'no photo at all')
  const broken = await openClassFolders(folder, [32, 32])
  await expect(broken.read([2])).rejects.toMatchObject({
    code: 'invalid-data',
    message: expect.stringContaining('9.jpg'),
  })
  await broken.close?.()
})
