import { create } from 'tar'

/** Packs files into a tar that depends on their paths and content alone: names sorted, no times, no owners. */
export async function packTar(folder: string, paths: readonly string[], to: string): Promise<void> {
  await create(
    { file: to, cwd: folder, portable: true, noMtime: true, noDirRecurse: true },
    [...paths].sort(),
  )
}
