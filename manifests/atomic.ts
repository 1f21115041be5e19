import { mkdirSync, unlinkSync } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Temporary files of this process, removed even when it is told to stop in mid-write. */
const pending = new Set<string>()
process.on('exit', () => {
  for (const path of pending) {
    try {
      unlinkSync(path)
    } catch {
      // Already renamed or removed.
    }
  }
})

let count = 0

/**
 * Writes a file whole or not at all: a temporary file in the same folder, synced, then renamed over `path`.
 * Makes the folder. On any failure the temporary file goes and an older `path` stays as it was.
 *
 * @param content the bytes, the text, or a function that writes to the open file (for content too large for memory)
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | ((file: FileHandle) => Promise<void>),
): Promise<void> {
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true })
  const temporary = join(folder, `.${basename(path)}.${process.pid}-${count++}.partial`)
  pending.add(temporary)
  try {
    const file = await open(temporary, 'w')
    try {
      if (typeof content === 'function') await content(file)
      else await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  } finally {
    pending.delete(temporary)
  }
}

/** A JSON document, indented, whole or not at all. */
export const writeJsonAtomic = (path: string, document: unknown): Promise<void> =>
  writeFileAtomic(path, `${JSON.stringify(document, null, 2)}\n`)
