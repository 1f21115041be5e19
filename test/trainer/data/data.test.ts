import { expect, it } from 'vitest'
import { augmentation } from '../../../trainer/data/augment.ts'
import { Batches } from '../../../trainer/data/batches.ts'
import { checkAlike } from '../../../trainer/data/open.ts'
import { epochOrder } from '../../../trainer/data/order.ts'
import { targetsOf } from '../../../trainer/methods/method.ts'
import { stripes } from '../stripes.ts'

it('takes every example once an epoch, in an order of its own', () => {
  const [first, second] = [epochOrder(100, 1, 0), epochOrder(100, 1, 1)]
  expect([...first].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i))
  expect(first).not.toEqual(second)
  expect(epochOrder(100, 1, 0)).toEqual(first)
  expect(epochOrder(100, 2, 0)).not.toEqual(first)
})

it('gives the same batch for the same number, whatever was read before', async () => {
  const data = stripes(50)
  const sequential = new Batches(data, 8, 3, 'pad-crop-flip')
  const batches = []
  for (let step = 0; step < 9; step++) batches.push(await sequential.at(step))
  const resumed = await new Batches(data, 8, 3, 'pad-crop-flip').at(8)
  expect(resumed.examples).toEqual(batches[8]!.examples)
  expect(resumed.images.floats).toEqual(batches[8]!.images.floats)
  const epoch = batches.slice(0, 6).flatMap(({ examples }) => examples)
  expect(new Set(epoch).size).toBe(48)
})

it('refuses data smaller than a batch', () => {
  expect(() => new Batches(stripes(4), 8, 0, 'none')).toThrow(
    expect.objectContaining({ code: 'invalid-data' }),
  )
})

it('wants photos where they are to be varied as photos', () => {
  expect(() => new Batches(stripes(40), 8, 0, 'imagenet')).toThrow(
    expect.objectContaining({ code: 'invalid-data' }),
  )
})

it('moves images by up to four pixels, zeros coming in, and mirrors some', () => {
  const image = Float32Array.from({ length: 36 }, (_, i) => i + 1)
  const seen = new Set<string>()
  let mirrored = 0
  for (let example = 0; example < 200; example++) {
    const moved = augmentation('pad-crop-flip')(image, [1, 6, 6], [example], [0])
    const kept = [...moved].filter((value) => value !== 0)
    expect(kept.every((value) => image.includes(value))).toBe(true)
    expect(new Set(kept).size).toBe(kept.length)
    const row = [0, 1, 2, 3, 4, 5].map((y) =>
      [...moved.subarray(y * 6, y * 6 + 6)].filter((value) => value !== 0),
    )
    const long = row.find((values) => values.length > 1)
    if (long && long[0]! > long[1]!) mirrored++
    seen.add(moved.join())
  }
  expect(seen.size).toBeGreaterThan(80)
  expect(mirrored).toBeGreaterThan(60)
  expect(mirrored).toBeLessThan(140)
})

it('refuses a validation of other images or classes', () => {
  const train = { ...stripes(8), classes: ['cat', 'dog', 'hen'] }
  const checked = (classes: string[] | null, shape = train.shape) => {
    try {
      checkAlike(train, { ...stripes(4, 'held out'), classes, shape })
      return 'alike'
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid-data' })
      return (error as Error).message
    }
  }
  expect(checked(['cat', 'dog', 'hen'])).toBe('alike')
  expect(checked(null)).toBe('alike')
  // Without `dog`, folders would be numbered otherwise.
  expect(checked(['cat', 'hen'])).toMatch(/only one has dog$/)
  expect(checked(['cat', 'dog', 'hen', 'owl'])).toMatch(/only one has owl$/)
  expect(checked(['dog', 'cat', 'hen'])).toMatch(/the order of their classes$/)
  expect(checked(['cat', 'dog', 'hen'], [3, 8, 8])).toMatch(/\[1,8,8\] and \[3,8,8\]$/)
})

it('refuses labels that are no classes', () => {
  expect(targetsOf(Int32Array.of(2), 3, 0.3).floats).toEqual(Float32Array.of(0.1, 0.1, 0.8))
  for (const label of [-1, 3])
    expect(() => targetsOf(Int32Array.of(label), 3)).toThrow(
      expect.objectContaining({ code: 'invalid-data' }),
    )
})
