import { rmSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryIn } from '../store/blobs.ts'

/**
 * Where archives are unpacked during one pull: a folder that exists from its first use to the end of the pull. Each
 * archive is fetched and unpacked once, however many files come from it.
 */
export class Scratch {
  private readonly store: string
  private folder: Promise<string> | undefined
  private readonly archives = new Map<string, Promise<string>>()
  private count = 0
  private clear = (): void => {}

  constructor(store: string) {
    this.store = store
  }

  /** A new path in the folder. */
  async path(): Promise<string> {
    this.folder ??= this.make()
    return join(await this.folder, String(this.count++))
  }

  /** The folder that `unpack` filled for this archive, now or earlier. */
  unpacked(archive: string, unpack: (folder: string) => Promise<void>): Promise<string> {
    const known = this.archives.get(archive) ?? this.fill(unpack)
    this.archives.set(archive, known)
    return known
  }

  async close(): Promise<void> {
    const folder = await this.folder
    process.off('exit', this.clear)
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }

  private async fill(unpack: (folder: string) => Promise<void>): Promise<string> {
    const folder = await this.path()
    await unpack(folder)
    return folder
  }

  private async make(): Promise<string> {
    const folder = await temporaryIn(this.store)
    await mkdir(folder)
    this.clear = () => rmSync(folder, { recursive: true, force: true })
    process.on('exit', this.clear)
    return folder
  }
}
