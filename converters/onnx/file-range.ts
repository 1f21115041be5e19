import { type BigIntStats, closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { ZooError } from '../../manifests/error.ts'

/** Bytes in a file: a tensor of external data that has not been read. */
export interface FileRange {
  readonly path: string
  readonly offset: number
  readonly length: number
  /** Tells the file from another that may take its name later; see `versionOf`. */
  readonly version: string
}

/** Changes whenever a file is replaced or written to. */
export const versionOf = (stats: BigIntStats): string => `${stats.ino}-${stats.mtimeNs}-${stats.size}`

/** One read call moves at most this much: the operating system's own limit lies just under 2 GiB. */
const PIECE = 16 << 20

/**
 * Reads a range whole.
 *
 * @throws ZooError `conflict` when the file is no longer the one that was looked at
 */
export function readRange({ path, offset, length, version }: FileRange): Uint8Array {
  const bytes = new Uint8Array(length)
  const file = openSync(path, 'r')
  try {
    if (versionOf(fstatSync(file, { bigint: true })) !== version) throw changed(path)
    for (let done = 0; done < length; ) {
      const read = readSync(file, bytes, done, Math.min(PIECE, length - done), offset + done)
      if (read === 0) throw changed(path)
      done += read
    }
  } finally {
    closeSync(file)
  }
  return bytes
}

/**
 * Copies a range to `position` of an open file through one small buffer, so weights of any size pass.
 *
 * @throws ZooError `conflict` when the file is no longer the one that was looked at
 */
export async function copyRange(range: FileRange, target: FileHandle, position: number): Promise<void> {
  const { path, offset, length, version } = range
  const buffer = new Uint8Array(Math.min(PIECE, length))
  const source = await open(path, 'r')
  try {
    if (versionOf(await source.stat({ bigint: true })) !== version) throw changed(path)
    for (let done = 0; done < length; ) {
      const { bytesRead } = await source.read(buffer, 0, Math.min(PIECE, length - done), offset + done)
      if (bytesRead === 0) throw changed(path)
      await writeAt(target, buffer.subarray(0, bytesRead), position + done)
      done += bytesRead
    }
  } finally {
    await source.close()
  }
}

/** Writes all bytes at a position; one call may write fewer than asked. */
export async function writeAt(target: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const length = Math.min(PIECE, bytes.byteLength - done)
    done += (await target.write(bytes, done, length, position + done)).bytesWritten
  }
}

const changed = (path: string): ZooError =>
  new ZooError('conflict', `${path} changed after the model was opened`, { hint: 'run the command again' })
