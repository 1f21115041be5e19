import { statSync } from 'node:fs'
import { ZooError } from '../../manifests/error.ts'
import type { ByteImages } from './known.ts'
import { type RecordFile, readRecords } from './records.ts'

/** A CIFAR-10 record: one label byte, then 32 x 32 pixels in planes of red, green and blue. */
export const CIFAR_PIXELS = 32 * 32
export const CIFAR_IMAGE = 3 * CIFAR_PIXELS
export const CIFAR_RECORD = 1 + CIFAR_IMAGE

/**
 * The binary version of CIFAR-10, in several files read as one.
 *
 * @throws ZooError `invalid-data` where a file isn't a whole number of records
 */
export function cifarImages(paths: readonly string[]): ByteImages {
  const files = paths.map((path): RecordFile => {
    const { size } = statSync(path)
    if (size % CIFAR_RECORD !== 0)
      throw new ZooError('invalid-data', `${path} is not a whole number of ${CIFAR_RECORD}-byte records`)
    return { path, offset: 0, stride: CIFAR_RECORD, count: size / CIFAR_RECORD }
  })
  const labels = new Uint8Array(files.reduce((sum, { count }) => sum + count, 0))
  let first = 0
  const begins = files.map((file) => {
    readRecords(
      file,
      Array.from({ length: file.count }, (_, i) => i),
      0,
      1,
      labels.subarray(first),
    )
    first += file.count
    return first - file.count
  })
  return {
    labels,
    readImages(indices, target) {
      for (const [i, index] of indices.entries()) {
        const which = begins.findLastIndex((begin) => begin <= index)
        const image = target.subarray(i * CIFAR_IMAGE, (i + 1) * CIFAR_IMAGE)
        readRecords(files[which]!, [index - begins[which]!], 1, CIFAR_IMAGE, image)
      }
    },
  }
}
