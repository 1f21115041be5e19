import { describe, expect, it } from 'vitest'
import type { DataSet } from '../../../converters/data/dataset.ts'

/** What every data set does; `open` gives the same one anew. */
export function datasetSuite(open: () => Promise<DataSet>): void {
  describe('as a data set', () => {
    it('gives images in [0,1] of its shape, with a label each', async () => {
      const data = await open()
      const indices = [0, data.size - 1]
      const { images, labels } = await data.read(indices)
      expect(images).toHaveLength(2 * data.shape[0] * data.shape[1] * data.shape[2])
      expect(images.every((value) => value >= 0 && value <= 1)).toBe(true)
      expect(labels).toHaveLength(2)
    })

    it('gives an example the same way wherever it stands in a batch', async () => {
      const data = await open()
      const record = data.shape[0] * data.shape[1] * data.shape[2]
      const indices = [1, 0, 2, 3, 2].map((index) => index % data.size)
      const batch = await data.read(indices)
      for (const [i, index] of indices.entries()) {
        const alone = await data.read([index])
        expect(batch.images.slice(i * record, (i + 1) * record)).toEqual(alone.images)
        expect(batch.labels[i]).toBe(alone.labels[0])
        expect(batch.targets?.[i]).toBe(alone.targets?.[0])
        expect(batch.eps?.[i]).toBe(alone.eps?.[0])
      }
    })

    it('gives nothing for no indices, and refuses one that it has not', async () => {
      const data = await open()
      expect((await data.read([])).images).toHaveLength(0)
      for (const wrong of [-1, data.size, 0.5])
        await expect(data.read([wrong])).rejects.toMatchObject({ code: 'internal' })
    })

    it('has the same digest every time', async () => {
      const [first, second] = [await open(), await open()]
      expect(first.sha256).toMatch(/^[0-9a-f]{64}$/)
      expect(second.sha256).toBe(first.sha256)
    })
  })
}
