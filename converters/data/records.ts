import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { ZooError } from '../../manifests/error.ts'

/** Fixed-size records in a file, such as one image each: where the first begins and how far apart they are. */
export interface RecordFile {
  readonly path: string
  readonly offset: number
  readonly stride: number
  readonly count: number
}

/**
 * Reads records of `length` bytes into `target`, one after another. Neighbours are read at once; a read that the page
 * cache answers costs less than a hop to another thread, so this blocks on purpose.
 *
 * @param start where in a record the wanted bytes begin
 */
export function readRecords(
  file: RecordFile,
  indices: readonly number[],
  start: number,
  length: number,
  target: Uint8Array,
): void {
  const descriptor = openSync(file.path, 'r')
  try {
    const adjacent = start === 0 && length === file.stride
    for (let i = 0; i < indices.length; ) {
      let run = 1
      while (adjacent && i + run < indices.length && indices[i + run] === indices[i]! + run) run++
      const position = file.offset + indices[i]! * file.stride + start
      readFully(descriptor, target.subarray(i * length, (i + run) * length), position, file.path)
      i += run
    }
  } finally {
    closeSync(descriptor)
  }
}

/** @throws ZooError `invalid-data` where the file ends first */
function readFully(descriptor: number, target: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < target.byteLength; ) {
    const read = readSync(descriptor, target, done, target.byteLength - done, position + done)
    if (read === 0) throw new ZooError('invalid-data', `${path} ends too early`)
    done += read
  }
}

/** The file's first bytes, as many as there are up to `length`. */
export function readHead(path: string, length: number): Buffer {
  const descriptor = openSync(path, 'r')
  try {
    const head = Buffer.alloc(Math.min(length, statSync(path).size))
    readFully(descriptor, head, 0, path)
    return head
  } finally {
    closeSync(descriptor)
  }
}

/** Indices that exist, or an error that names the first that doesn't. */
export function checkIndices(indices: readonly number[], size: number, name: string): void {
  for (const index of indices)
    if (!Number.isInteger(index) || index < 0 || index >= size)
      throw new ZooError('internal', `${name} has no example ${index}: it has ${size}`)
}

/** Bytes 0..255 as values in [0,1]. */
export function toUnit(bytes: Uint8Array): Float32Array {
  const values = new Float32Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) values[i] = bytes[i]! / 255
  return values
}
