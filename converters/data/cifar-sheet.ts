import { readFile, writeFile } from 'node:fs/promises'
import sharp from 'sharp'
import { z } from 'zod'
import { ZooError } from '../../manifests/error.ts'
import { CIFAR_IMAGE, CIFAR_PIXELS, CIFAR_RECORD } from './cifar.ts'

/**
 * Makes a CIFAR binary batch, byte for byte the official one, from a lossless sheet: an image of 1024 columns in which
 * each row is one 32x32 picture in raster order.
 *
 * @param labels a JSON list, of which the sheet's begin at `firstLabel`
 * @throws ZooError `integrity` where the sheet or the list isn't of that form
 */
export async function cifarSheet(
  sheet: string,
  labels: string,
  firstLabel: number,
  to: string,
): Promise<void> {
  const list = z.array(z.int().min(0).max(255)).safeParse(JSON.parse(await readFile(labels, 'utf8')))
  const { data, info } = await sharp(sheet, { limitInputPixels: false })
    .raw()
    .toBuffer({ resolveWithObject: true })
  if (!list.success || info.channels !== 3 || info.width !== CIFAR_PIXELS)
    throw new ZooError('integrity', `${sheet} and ${labels} are not a sheet of CIFAR images with its labels`)
  const batch = Buffer.alloc(info.height * CIFAR_RECORD)
  for (let row = 0; row < info.height; row++) {
    const record = batch.subarray(row * CIFAR_RECORD)
    record[0] = list.data[firstLabel + row] ?? 255
    const pixels = data.subarray(row * CIFAR_IMAGE)
    for (let pixel = 0; pixel < CIFAR_PIXELS; pixel++)
      for (let channel = 0; channel < 3; channel++)
        record[1 + channel * CIFAR_PIXELS + pixel] = pixels[pixel * 3 + channel]!
  }
  await writeFile(to, batch)
}
