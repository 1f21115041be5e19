import { createReadStream, createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { type Duplex, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { asZooError, ZooError } from '../../../manifests/error.ts'

/** Whether bytes begin as gzip does. */
export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b

/** Passes bytes on up to a limit, so that a small archive cannot become a large file. */
export function limitTo(most: number): Duplex {
  let bytes = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (bytes <= most) done(null, chunk)
      else done(new ZooError('integrity', `the archive unpacks to more than the ${most} bytes that it may`))
    },
  })
}

/** A stream of a file's plain bytes, unpacked where it is gzipped, and no more of them than the limit. */
export async function plainStream(path: string, most: number): Promise<[NodeJS.ReadableStream, ...Duplex[]]> {
  const file = await open(path, 'r')
  const head = Buffer.alloc(2)
  await file.read(head, 0, 2, 0)
  await file.close()
  return [createReadStream(path), ...(isGzip(head) ? [createGunzip()] : []), limitTo(most)]
}

/** What a failure while unpacking means: ours as it is, a full disk, or else a bad archive. */
export function archiveError(error: unknown): ZooError {
  const failure = asZooError(error)
  if (failure.code === 'integrity' || failure.code === 'disk') return failure
  return new ZooError('integrity', `the archive is damaged or not acceptable: ${failure.message}`, {
    cause: error,
  })
}

/**
 * Unpacks a gzip file of which the unpacked size is known, and stops at the first byte too many.
 *
 * @throws ZooError `integrity` where it is damaged or larger
 */
export async function gunzipFile(from: string, to: string, size: number): Promise<void> {
  try {
    await pipeline(
      createReadStream(from),
      createGunzip(),
      limitTo(size),
      createWriteStream(to, { flags: 'wx' }),
    )
  } catch (error) {
    throw archiveError(error)
  }
}
