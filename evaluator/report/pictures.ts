import sharp from 'sharp'
import type { Ledger } from '../protocol/ledger.ts'
import type { Plan } from '../protocol/plan.ts'
import { dataOf, type StoredImage, storedImages } from '../protocol/stored.ts'
import type { Walked } from '../protocol/walk.ts'

/** Columns of the sheet, the smallest side at which images are drawn, and the gap between them. */
const MOST = 8
const SIDE = 96
const GAP = 4
const WHITE = 255

/** Three rows: images as they were, as the attack left them, and the difference, amplified around grey. */
export interface Pictures {
  readonly png: Uint8Array
  readonly width: number
  readonly height: number
  /** What stands in each column. */
  readonly columns: readonly {
    readonly index: number
    readonly attack: string
    readonly label: number
    readonly prediction: number
  }[]
}

/** Draws some of the images that were broken, spread over the run; null where none was. */
export async function drawPictures(plan: Plan, ledger: Ledger, { blocks }: Walked): Promise<Pictures | null> {
  const units = blocks.flatMap(({ attacks }) => attacks.flat()).filter(({ adversarial }) => adversarial)
  if (units.length === 0) return null
  const data = await dataOf(plan)
  const every = Math.ceil(units.length / MOST)
  const chosen = units.filter((_, i) => i % every === 0)
  const shown: StoredImage[] = []
  for (const unit of chosen)
    shown.push(...(await storedImages(unit, ledger, data, plan)).slice(0, Math.ceil(MOST / chosen.length)))
  return sheet(shown.slice(0, MOST), data.shape)
}

async function sheet(
  images: readonly StoredImage[],
  [channels, height, width]: readonly [number, number, number],
): Promise<Pictures> {
  const scale = Math.max(1, Math.ceil(SIDE / Math.max(height, width)))
  const [stepX, stepY] = [width * scale + GAP, height * scale + GAP]
  const [fullWidth, fullHeight] = [images.length * stepX - GAP, 3 * stepY - GAP]
  const pixels = new Uint8Array(fullWidth * fullHeight * 3).fill(WHITE)
  for (const [column, { origin, image }] of images.entries()) {
    const most = origin.reduce((sum, value, i) => Math.max(sum, Math.abs(image[i]! - value)), 1e-9)
    const difference = image.map((value, i) => 0.5 + (value - origin[i]!) / (2 * most))
    for (const [row, picture] of [origin, image, difference].entries())
      for (let y = 0; y < height * scale; y++)
        for (let x = 0; x < width * scale; x++)
          for (let c = 0; c < 3; c++) {
            const plane = channels === 1 ? 0 : c
            const from = (plane * height + Math.floor(y / scale)) * width + Math.floor(x / scale)
            pixels[((row * stepY + y) * fullWidth + column * stepX + x) * 3 + c] = Math.round(
              255 * picture[from]!,
            )
          }
  }
  const png = await sharp(pixels, { raw: { width: fullWidth, height: fullHeight, channels: 3 } })
    .png()
    .toBuffer()
  return {
    png,
    width: fullWidth,
    height: fullHeight,
    columns: images.map(({ index, unit, label, prediction }) => ({
      index,
      attack: unit.name,
      label,
      prediction,
    })),
  }
}
