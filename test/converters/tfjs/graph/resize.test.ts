import fc from 'fast-check'
import { expect, it } from 'vitest'
import { full } from '../../../data.ts'
import { converted } from '../models.ts'
import { flag, GraphFile } from './file.ts'

const length = fc.integer({ min: 2, max: 24 })

it('images of any size are resized to any other as tfjs does it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(length, length),
      fc.tuple(length, length),
      fc.constantFrom('ResizeBilinear', 'ResizeNearestNeighbor'),
      fc.constantFrom('', 'align_corners', 'half_pixel_centers'),
      async ([h, w], size, op, mode) => {
        const g = new GraphFile()
        const x = g.input('x', [-1, h, w, 2])
        const y = g.node(op, [x, g.ints(size)], mode === '' ? {} : { [mode]: flag(true) })
        const { parity } = await converted(await g.save([y]))
        expect(parity).toMatchObject({ passed: true })
      },
    ),
    { numRuns: full ? 1000 : 60 },
  )
})
