import { randomUUID } from 'node:crypto'
import { chmod, mkdir, open, rename, rm, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ZooError } from '../../../manifests/error.ts'
import { hashFile } from './hash.ts'

/** What a file must be. */
export interface Digest {
  readonly sha256: string
  readonly size: number
}

/** A digest tells content apart by itself; a size makes a look at it cheaper. */
interface BlobName {
  readonly sha256: string
  readonly size?: number | undefined
}

/** Where the content with this digest is kept below a store's folder, the same as in an OCI image layout. */
export const blobPath = (store: string, sha256: string): string => join(store, 'blobs', 'sha256', sha256)

/** Whether the store has the content, going by its size alone. */
export const hasBlob = (store: string, { sha256, size }: BlobName): Promise<boolean> =>
  stat(blobPath(store, sha256)).then(
    (found) => size === undefined || found.size === size,
    () => false,
  )

/**
 * The path of content that the store has and whose every byte was just checked; undefined where it is missing or
 * damaged. It counts as new from now on, so that a sweep of the store leaves it to whoever is about to use it.
 */
export async function soundBlob(store: string, { sha256, size }: BlobName): Promise<string | undefined> {
  if (!(await hasBlob(store, { sha256, size }))) return undefined
  const path = blobPath(store, sha256)
  const now = new Date()
  await utimes(path, now, now).catch(() => {}) // A store that cannot be written is not swept either.
  return (await hashFile(path)).sha256 === sha256 ? path : undefined
}

/**
 * Moves a complete, checked file into the store. Of several processes the first wins and the others' copies go;
 * a damaged blob of that name is replaced.
 */
export async function adoptBlob(store: string, temporary: string, sha256: string): Promise<string> {
  const path = blobPath(store, sha256)
  await mkdir(dirname(path), { recursive: true })
  await chmod(temporary, 0o444)
  if ((await soundBlob(store, { sha256, size: (await stat(temporary)).size })) !== undefined) {
    await rm(temporary, { force: true })
    return path
  }
  await rename(temporary, path)
  return path
}

/** Puts bytes into the store whole or not at all. */
export async function putBlob(store: string, bytes: Uint8Array, sha256: string): Promise<string> {
  const temporary = await temporaryIn(store)
  const file = await open(temporary, 'wx')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  return adoptBlob(store, temporary, sha256)
}

/** A new name in the store's folder for unfinished files, on the same file system as the blobs. */
export async function temporaryIn(store: string): Promise<string> {
  const folder = join(store, 'tmp')
  await mkdir(folder, { recursive: true })
  return join(folder, `${process.pid}-${randomUUID()}`)
}

/** @throws ZooError `integrity` unless the file is exactly what was asked for */
export async function checkFile(path: string, wanted: Digest, what: string): Promise<void> {
  const found = await hashFile(path)
  if (found.size !== wanted.size)
    throw new ZooError('integrity', `${what} has ${found.size} bytes instead of ${wanted.size}`)
  if (found.sha256 !== wanted.sha256)
    throw new ZooError('integrity', `${what} has sha256 ${found.sha256} instead of ${wanted.sha256}`)
}
