import { constants } from 'node:fs'
import { copyFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { asZooError, type ErrorCode, ZooError } from '../../../manifests/error.ts'
import type { DataFile } from '../../../manifests/schema/dataset.ts'
import type { Client } from '../client.ts'
import { allOrNone } from '../download/all-or-none.ts'
import { download } from '../download/download.ts'
import type { Transfer } from '../oci/registry.ts'
import { adoptBlob, checkFile, type Digest, hasBlob, soundBlob } from '../store/blobs.ts'
import { hashFile } from '../store/hash.ts'
import { checkSpace } from '../store/space.ts'
import type { Job } from './job.ts'
import { directRequest, locate } from './locate.ts'
import { Scratch } from './scratch.ts'
import { parseSource } from './source.ts'

/** A file to have: what it must be, and where it may come from, in order. */
export interface Wanted extends Digest {
  readonly path: string
  readonly sources: DataFile['sources']
}

type Advance = (bytes: number) => void

/**
 * Gets every file into the cache's content-addressed store, several at once, each from the first mirror or source that
 * has it right.
 *
 * @param stage what progress calls it
 * @returns the blobs' paths, in the files' order
 * @throws ZooError that tells every source's failure
 */
export async function fetchFiles(client: Client, files: readonly Wanted[], stage: string): Promise<string[]> {
  const { cache, concurrency } = client.settings
  const here = await Promise.all(files.map((file) => hasBlob(cache, file)))
  await checkSpace(
    cache,
    files.reduce((sum, { size }, i) => sum + (here[i] ? 0 : size), 0),
  )
  const total = files.reduce((sum, { size }) => sum + size, 0)
  let done = 0
  const advance: Advance = (bytes) => {
    done += bytes
    client.progress({ stage, done, total, unit: 'bytes' })
  }
  const scratch = new Scratch(cache)
  try {
    return await allOrNone(concurrency, files, (file, signal) =>
      fetchFile({ client, scratch, signal }, file, advance),
    )
  } finally {
    await scratch.close()
  }
}

/**
 * Gets a single file into the store, whatever it is unless a digest says what it must be.
 *
 * @throws ZooError like `fetchFiles`
 */
export async function fetchOne(
  client: Client,
  source: string,
  sha256: string | undefined,
): Promise<{ path: string; sha256: string; size: number }> {
  const direct = directRequest(parseSource(source), source)
  if (direct !== undefined) {
    const path = await download(client, { ...direct, sha256, ...progressOf(client, basename(direct.url)) })
    return { path, sha256: basename(path), size: (await stat(path)).size }
  }
  const scratch = new Scratch(client.settings.cache)
  try {
    const found = await locate({ client, scratch }, source, { path: source, size: 0 })
    const facts = await hashFile(found)
    if (sha256 !== undefined && facts.sha256 !== sha256)
      throw new ZooError('integrity', `${source} has sha256 ${facts.sha256} instead of ${sha256}`)
    const copy = await scratch.path()
    await copyFile(found, copy, constants.COPYFILE_FICLONE)
    return { path: await adoptBlob(client.settings.cache, copy, facts.sha256), ...facts }
  } finally {
    await scratch.close()
  }
}

function progressOf(client: Client, name: string): { onBytes: Advance; onLength: Advance } {
  let done = 0
  let total: number | undefined
  return {
    onLength(bytes) {
      total = bytes
    },
    onBytes(bytes) {
      done += bytes
      client.progress({
        stage: `pull ${name}`,
        done,
        unit: 'bytes',
        ...(total === undefined ? {} : { total }),
      })
    },
  }
}

/**
 * Gets a file from the first mirror that has it right; undefined where none does.
 *
 * @throws ZooError `disk`
 */
export async function fetchMirrored(
  client: Client,
  file: Digest,
  { onBytes = () => {}, signal }: Transfer,
): Promise<string | undefined> {
  const { cache, mirrors } = client.settings
  if (mirrors.length === 0) return undefined
  const scratch = new Scratch(cache)
  const wanted = { ...file, path: file.sha256, sources: [] }
  try {
    return await fetchFile({ client, scratch, signal }, wanted, onBytes)
  } catch (error) {
    signal?.throwIfAborted()
    const failure = asZooError(error)
    if (failure.code === 'disk' || failure.code === 'internal') throw failure
    if (failure.code !== 'not-found') client.note(`no mirror helps: ${failure.message}`)
    return undefined
  } finally {
    await scratch.close()
  }
}

async function fetchFile(job: Job, file: Wanted, advance: Advance): Promise<string> {
  const { cache, mirrors } = job.client.settings
  const kept = await soundBlob(cache, file)
  if (kept !== undefined) {
    advance(file.size)
    return kept
  }
  const failures: ZooError[] = []
  for (const source of [...mirrors.map((mirror) => mirrored(mirror, file)), ...file.sources]) {
    let counted = 0
    const onBytes: Advance = (bytes) => {
      counted += bytes
      advance(bytes)
    }
    try {
      const path = await fromSource(job, file, source, onBytes)
      advance(file.size - counted)
      return path
    } catch (error) {
      const failure = asZooError(error)
      if (failure.code === 'disk' || failure.code === 'internal') throw failure
      advance(-counted)
      failures.push(failure)
    }
  }
  throw allFailed(file, failures)
}

/** A mirror keeps files as a zoo's cache and an OCI image layout do. */
function mirrored(mirror: string, { sha256 }: Wanted): string {
  const base = mirror.replace(/\/+$/, '')
  return /^https?:\/\//.test(base) ? `${base}/blobs/sha256/${sha256}` : `file:${base}/blobs/sha256/${sha256}`
}

async function fromSource(
  job: Job,
  file: Wanted,
  source: Wanted['sources'][number],
  onBytes: Advance,
): Promise<string> {
  const direct = typeof source === 'string' ? directRequest(parseSource(source), file.path) : undefined
  if (direct !== undefined)
    return download(job.client, {
      ...direct,
      ...{ sha256: file.sha256, size: file.size, onBytes, signal: job.signal },
    })
  const made = await job.scratch.path()
  if (typeof source === 'string')
    await copyFile(await locate(job, source, file), made, constants.COPYFILE_FICLONE)
  else {
    // The image decoder is loaded where it is needed, and not by every pull.
    const { cifarSheet } = await import('../../../converters/data/cifar-sheet.ts')
    const images = await locate(job, source.images, file)
    await cifarSheet(images, await locate(job, source.labels, file), source.firstLabel, made)
  }
  await checkFile(made, file, `${file.path} from ${typeof source === 'string' ? source : source.images}`)
  return adoptBlob(job.client.settings.cache, made, file.sha256)
}

/** One error for all sources; its code is the gravest of theirs. */
function allFailed(file: Wanted, failures: readonly ZooError[]): ZooError {
  if (failures.length === 1) return failures[0]!
  const gravest: readonly ErrorCode[] = ['integrity', 'authorisation', 'network', 'offline', 'not-found']
  const code = gravest.find((known) => failures.some((failure) => failure.code === known)) ?? 'network'
  const said = failures.map(({ message }) => message).join('; ')
  return new ZooError(code, `no source has ${file.path}: ${said}`, { cause: failures })
}
