import { mkdir, statfs } from 'node:fs/promises'
import { ZooError } from '../../../manifests/error.ts'

/**
 * Checks that there is room before a transfer begins.
 *
 * @throws ZooError `disk`
 */
export async function checkSpace(folder: string, bytes: number): Promise<void> {
  await mkdir(folder, { recursive: true })
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  if (free >= bytes) return
  throw new ZooError(
    'disk',
    `${folder} has ${megabytes(free)} MB left, and ${megabytes(bytes)} MB are needed`,
    {
      hint: 'free some space (zoo prune removes what nothing refers to), or put the cache elsewhere with ZOO_CACHE',
    },
  )
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)
