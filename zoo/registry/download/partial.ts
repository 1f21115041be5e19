import { createHash, type Hash, randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { isAlive } from '../store/lock.ts'

/** Bytes gathered before they are written: one system call a network packet would cost more than the hashing. */
const WRITE_BATCH = 1 << 18

/**
 * A file on its way in, hashed while it grows. It is named `KEY.HOST.PID.ID`, so that a later process finds what a dead
 * one left and takes it by renaming it, without a lock and without ever writing to a file that another one writes to.
 */
export class PartialFile {
  readonly path: string
  /** Bytes received. */
  size: number
  /** Whether it began as another process's remainder, which a crash may have damaged. */
  readonly inherited: boolean
  /** The server's strong validator of the version that is being received. */
  etag: string | undefined
  private readonly file: FileHandle
  private hash: Hash
  private waiting: Uint8Array[] = []
  private waitingBytes = 0

  private constructor(path: string, file: FileHandle, prefix: { hash: Hash; size: number }, etag?: string) {
    this.path = path
    this.file = file
    this.hash = prefix.hash
    this.size = prefix.size
    this.inherited = prefix.size > 0
    this.etag = etag
  }

  static async open(folder: string, key: string): Promise<PartialFile> {
    await mkdir(folder, { recursive: true })
    const path = join(folder, `${key}.${hostname()}.${process.pid}.${randomUUID()}`)
    await claim(folder, key, path)
    const file = await open(path, 'a+')
    return new PartialFile(path, file, await hashPrefix(file), await readEtag(path))
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.hash.update(chunk)
    this.size += chunk.byteLength
    this.waiting.push(chunk)
    this.waitingBytes += chunk.byteLength
    if (this.waitingBytes >= WRITE_BATCH) await this.flush()
  }

  async flush(): Promise<void> {
    const chunks = this.waiting
    this.waiting = []
    this.waitingBytes = 0
    if (chunks.length > 0) await this.file.writev(chunks)
  }

  /** Remembers the version being received, for whoever resumes. */
  async version(etag: string | undefined): Promise<void> {
    this.etag = etag
    if (etag === undefined) await rm(`${this.path}.etag`, { force: true })
    else await writeFile(`${this.path}.etag`, etag)
  }

  /** Begins again from the first byte. */
  async restart(): Promise<void> {
    this.waiting = []
    this.waitingBytes = 0
    await this.file.truncate(0)
    this.hash = createHash('sha256')
    this.size = 0
    await this.version(undefined)
  }

  /** The digest of the whole; the file is on the disk, and closed. */
  async finish(): Promise<string> {
    await this.flush()
    await this.file.sync()
    await this.file.close()
    await rm(`${this.path}.etag`, { force: true })
    return this.hash.digest('hex')
  }

  /** Leaves what has arrived for another try. */
  async keep(): Promise<void> {
    await this.flush().finally(() => this.file.close())
    if (this.size === 0) await this.discard()
  }

  async discard(): Promise<void> {
    await this.file.close().catch(() => {})
    await rm(this.path, { force: true })
    await rm(`${this.path}.etag`, { force: true })
  }
}

/** Takes over the remainder of a process that is gone, by renaming it to `path`. Losing the race means starting anew. */
async function claim(folder: string, key: string, path: string): Promise<void> {
  const remainders = (await readdir(folder)).filter(
    (name) => name.startsWith(`${key}.`) && !name.endsWith('.etag'),
  )
  for (const name of remainders) {
    if (!isOrphan(name)) continue
    try {
      await rename(join(folder, name), path)
    } catch {
      continue
    }
    await rename(join(folder, `${name}.etag`), `${path}.etag`).catch(() => {})
    return
  }
}

/** Only a process of this machine can be known to be gone; what other machines left, `zoo prune` removes by age. */
function isOrphan(name: string): boolean {
  const [pid] = name.split('.').slice(-2)
  return name.includes(`.${hostname()}.`) && !isAlive(Number(pid))
}

async function hashPrefix(file: FileHandle): Promise<{ hash: Hash; size: number }> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(WRITE_BATCH)
  let size = 0
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, size)
    if (bytesRead === 0) return { hash, size }
    hash.update(buffer.subarray(0, bytesRead))
    size += bytesRead
  }
}

const readEtag = (path: string): Promise<string | undefined> =>
  readFile(`${path}.etag`, 'utf8').catch(() => undefined)
