import { constants } from 'node:fs'
import { chmod, copyFile, link, mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { LinkMode } from '../settings.ts'
import { temporaryIn } from './blobs.ts'
import { hashFile } from './hash.ts'

export interface PlacedFile {
  readonly path: string
  readonly size: number
  readonly sha256: string
  /** Where its content lies. */
  readonly from: string
}

/**
 * Builds a folder from blobs, visible only when complete. Never symbolic links: tools that load external data refuse
 * them. A folder that is there and whole stays; one in which a byte differs is replaced.
 */
export async function materialise(
  store: string,
  folder: string,
  files: readonly PlacedFile[],
  mode: LinkMode,
): Promise<void> {
  if (await isWhole(folder, files)) return
  const building = await temporaryIn(store)
  try {
    for (const { path, from } of files) {
      await mkdir(dirname(join(building, path)), { recursive: true })
      await place(from, join(building, path), mode)
    }
    await mkdir(dirname(folder), { recursive: true })
    await putInPlace(store, building, folder, files)
  } finally {
    await rm(building, { recursive: true, force: true })
  }
}

/** Whether every file is there with the right content. */
export async function isWhole(folder: string, files: readonly Omit<PlacedFile, 'from'>[]): Promise<boolean> {
  for (const { path, size, sha256 } of files) {
    const found = await stat(join(folder, path)).catch(() => undefined)
    if (found?.size !== size || (await hashFile(join(folder, path))).sha256 !== sha256) return false
  }
  return true
}

async function putInPlace(store: string, building: string, folder: string, files: readonly PlacedFile[]) {
  for (;;) {
    try {
      return await rename(building, folder)
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
    if (await isWhole(folder, files)) return // Another process was faster.
    const damaged = await temporaryIn(store)
    await rename(folder, damaged).catch(() => {})
    await rm(damaged, { recursive: true, force: true })
  }
}

async function place(from: string, to: string, mode: LinkMode): Promise<void> {
  const ways = mode === 'auto' ? (['reflink', 'hardlink', 'copy'] as const) : ([mode, 'copy'] as const)
  for (const way of ways) {
    try {
      return await PLACE[way](from, to)
    } catch (error) {
      if (way === 'copy') throw error
    }
  }
}

const PLACE: Record<Exclude<LinkMode, 'auto'>, (from: string, to: string) => Promise<void>> = {
  async reflink(from, to) {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE)
    await chmod(to, 0o444)
  },
  hardlink: link,
  async copy(from, to) {
    await copyFile(from, to)
    await chmod(to, 0o444)
  },
}
