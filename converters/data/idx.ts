import { readFileSync, statSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { ZooError } from '../../manifests/error.ts'
import { type RecordFile, readHead, readRecords } from './records.ts'

/** Images or labels as bytes: IDX, the format of MNIST's authors. */
export interface IdxFile {
  /** Extents: [count, height, width] for images, [count] for labels. */
  readonly extents: readonly number[]
  /** The records at `indices`, one after another, in bytes. */
  read(indices: readonly number[], target: Uint8Array): void
}

const UNSIGNED_BYTE = 8

/**
 * Opens an IDX file of bytes: two zero bytes, the element type, the number of extents, the extents as big-endian int32,
 * then the elements. A plain file is read record by record; a gzipped one is unpacked in memory.
 *
 * @throws ZooError `invalid-data` where it isn't IDX or its length disagrees with its header
 */
export function openIdx(path: string): IdxFile {
  const unpacked = path.endsWith('.gz') ? gunzipSync(readFileSync(path)) : undefined
  const head = unpacked ?? readHead(path, 4 + 4 * 4)
  const rank = head[3] ?? 0
  if (
    head.length < 4 + 4 * rank ||
    head.readUInt16BE(0) !== 0 ||
    head[2] !== UNSIGNED_BYTE ||
    rank < 1 ||
    rank > 4
  )
    throw new ZooError('invalid-data', `${path} is not an IDX file of bytes`)
  const extents = Array.from({ length: rank }, (_, i) => head.readInt32BE(4 + 4 * i))
  const offset = 4 + 4 * rank
  const [count = 0, ...record] = extents
  const stride = record.reduce((product, extent) => product * extent, 1)
  const bytes = unpacked?.length ?? statSync(path).size
  if (bytes !== offset + count * stride)
    throw new ZooError(
      'invalid-data',
      `${path} has ${bytes} bytes; its header announces ${offset + count * stride}`,
    )
  const file: RecordFile = { path, offset, stride, count }
  return {
    extents,
    read(indices, target) {
      if (unpacked === undefined) return readRecords(file, indices, 0, stride, target)
      for (const [i, index] of indices.entries())
        target.set(unpacked.subarray(offset + index * stride, offset + (index + 1) * stride), i * stride)
    },
  }
}
