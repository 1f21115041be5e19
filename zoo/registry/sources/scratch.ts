import { rmSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryIn } from '../store/blobs.ts'

/** Where archives are unpacked during one pull. Each archive is fetched and unpacked once, however many files come from it. */
export class Scratch {
  readonly folder: string
  private readonly archives = new Map<string, Promise<string>>()
  private readonly clear = (): void => rmSync(this.folder, { recursive: true, force: true })
  private count = 0

  private constructor(folder: string) {
    this.folder = folder
    process.on('exit', this.clear)
  }

  static async open(store: string): Promise<Scratch> {
    const folder = await temporaryIn(store)
    await mkdir(folder)
    return new Scratch(folder)
  }

  /** A new path in the folder. */
  path(): string {
    return join(this.folder, String(this.count++))
  }

  /** The folder that `unpack` filled for this archive, now or earlier. */
  unpacked(archive: string, unpack: (folder: string) => Promise<void>): Promise<string> {
    const folder = this.path()
    const known = this.archives.get(archive) ?? unpack(folder).then(() => folder)
    this.archives.set(archive, known)
    return known
  }

  async close(): Promise<void> {
    process.off('exit', this.clear)
    await rm(this.folder, { recursive: true, force: true })
  }
}
