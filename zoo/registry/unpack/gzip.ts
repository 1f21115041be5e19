import { createReadStream, createWriteStream } from 'node:fs'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { asZooError, ZooError } from '../../../manifests/error.ts'

/**
 * Unpacks a gzip file of which the unpacked size is known, and stops at the first byte too many.
 *
 * @throws ZooError `integrity` where it is damaged or larger
 */
export async function gunzipFile(from: string, to: string, size: number): Promise<void> {
  let bytes = 0
  const limit = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (bytes > size)
        done(new ZooError('integrity', `the archive unpacks to more than the ${size} bytes expected`))
      else done(null, chunk)
    },
  })
  try {
    await pipeline(createReadStream(from), createGunzip(), limit, createWriteStream(to, { flags: 'wx' }))
  } catch (error) {
    if (error instanceof ZooError) throw error
    const failure = asZooError(error)
    if (failure.code === 'disk') throw failure
    throw new ZooError('integrity', `the archive is damaged: ${failure.message}`, { cause: error })
  }
}
