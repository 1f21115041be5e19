import type { DataSet } from '../../converters/data/dataset.ts'
import { uniforms } from '../../converters/perturb/random.ts'

/** Images [1, 8, 8] of two classes: horizontal and vertical stripes of random phase under noise. */
export function stripes(size: number, name = 'stripes'): DataSet {
  return {
    name,
    sha256: String(size).padStart(64, '0'),
    size,
    shape: [1, 8, 8],
    classes: ['horizontal', 'vertical'],
    async read(indices) {
      const images = new Float32Array(indices.length * 64)
      for (const [row, index] of indices.entries()) {
        const noise = uniforms([index], 65)
        const phase = noise[64]! < 0.5 ? 0 : 1
        for (let i = 0; i < 64; i++) {
          const line = index % 2 === 0 ? Math.floor(i / 8) : i % 8
          images[row * 64 + i] = 0.6 * ((line + phase) % 2) + 0.4 * noise[i]!
        }
      }
      return { images, labels: Int32Array.from(indices, (index) => index % 2) }
    },
  }
}
