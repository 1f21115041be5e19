import { integers, type Key } from '../../converters/perturb/random.ts'
import type { Recipe } from '../../manifests/schema/recipe.ts'

/** Varies images [N, C, H, W]; what happens to an example depends on the key and the example alone. */
export type Augmentation = (
  images: Float32Array,
  shape: readonly [number, number, number],
  examples: readonly number[],
  key: Key,
) => Float32Array

const PADDING = 4

/** Moves by up to four pixels, zeros coming in, and mirrors half of the images (He et al. 2016, section 4.2). */
const padCrop =
  (flips: boolean): Augmentation =>
  (images, [channels, height, width], examples, key) => {
    const moved = new Float32Array(images.length)
    const size = channels * height * width
    examples.forEach((example, row) => {
      const [down, across, side] = integers([...key, example], 3, 2 * (2 * PADDING + 1)) as unknown as [
        number,
        number,
        number,
      ]
      const dy = (down % (2 * PADDING + 1)) - PADDING
      const dx = (across % (2 * PADDING + 1)) - PADDING
      const mirrored = flips && side % 2 === 1
      for (let c = 0; c < channels; c++)
        for (let y = Math.max(0, -dy); y < Math.min(height, height - dy); y++) {
          const from = row * size + (c * height + y + dy) * width
          const to = row * size + (c * height + y) * width
          for (let x = Math.max(0, -dx); x < Math.min(width, width - dx); x++)
            moved[to + (mirrored ? width - 1 - x : x)] = images[from + x + dx]!
        }
    })
    return moved
  }

export function augmentation(name: Exclude<Recipe['data']['augmentation'], 'imagenet'>): Augmentation {
  switch (name) {
    case 'none':
      return (images) => images
    case 'pad-crop':
      return padCrop(false)
    case 'pad-crop-flip':
      return padCrop(true)
  }
}
