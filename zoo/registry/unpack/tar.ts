import { mkdir } from 'node:fs/promises'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type ReadEntry, Unpack } from 'tar'
import { ZooError } from '../../../manifests/error.ts'
import { archiveError, isGzip, plainStream } from './gzip.ts'

/** What an archive may hold. The defaults suit a package with a data set in it. */
export interface UnpackLimits {
  readonly entries: number
  readonly bytes: number
}

const LIMITS: UnpackLimits = { entries: 10_000, bytes: 4e9 }

/**
 * Unpacks a tar archive, gzipped or not, into a folder under strict rules: files and folders only; no absolute path,
 * no way out, no two names that some file system takes for one, no more entries or bytes than the limits; every file
 * gets the same modes. A gzip bomb ends where it exceeds the limits, whether its entries say so or not.
 *
 * @throws ZooError `integrity` that says which entry breaks which rule; the folder's content is then not to be used
 */
export async function unpackTar(
  archive: string,
  folder: string,
  limits: UnpackLimits = LIMITS,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const judge = judgeEntries(limits)
  let fault: ZooError | undefined
  const unpack = new Unpack({
    cwd: folder,
    strict: true,
    preserveOwner: false,
    filter: (_path, entry) => {
      const wrong = judge(entry as ReadEntry)
      if (wrong === undefined) {
        const isFolder = (entry as ReadEntry).type === 'Directory'
        ;(entry as ReadEntry).mode = isFolder ? 0o755 : 0o644
        return true
      }
      // Throwing here would be an uncaught exception in tar.
      fault ??= new ZooError('integrity', `the archive is not acceptable: ${wrong}`)
      queueMicrotask(() => unpack.abort(fault as ZooError))
      return false
    },
  })
  try {
    // Every entry costs a header and padding besides its bytes.
    await pipeline([
      ...(await plainStream(archive, limits.bytes + limits.entries * 2 * BLOCK)),
      onlyTar(),
      unpack,
    ])
  } catch (error) {
    throw fault ?? archiveError(error)
  }
  if (fault !== undefined) throw fault
}

const BLOCK = 1024

/** Keeps tar from unpacking once more, in its own way, what is compressed twice. */
function onlyTar(): Transform {
  let begun = false
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const twice = !begun && isGzip(chunk)
      begun = true
      if (twice) done(new ZooError('integrity', 'the archive is compressed twice'))
      else done(null, chunk)
    },
  })
}

/** A function that sees every entry and says what is wrong with it. */
function judgeEntries(limits: UnpackLimits): (entry: ReadEntry) => string | undefined {
  const seen = new Map<string, string>()
  let entries = 0
  let bytes = 0
  return ({ path, type, size = 0 }) => {
    if (!['File', 'OldFile', 'ContiguousFile', 'Directory'].includes(type)) return `${path} is a ${type}`
    if (path.startsWith('/') || path.startsWith('\\') || /^[A-Za-z]:/.test(path)) return `${path} is absolute`
    if (path.split(/[/\\]/).includes('..')) return `${path} leads out of the folder`
    if (path.includes('\0')) return 'a name contains a null character'
    const folded = path.normalize('NFC').toLowerCase().replace(/\/+$/, '')
    const other = seen.get(folded)
    if (other !== undefined && !(type === 'Directory' && other === path))
      return other === path ? `${path} comes twice` : `${path} and ${other} are one name on some file systems`
    seen.set(folded, path)
    if (++entries > limits.entries) return `more than ${limits.entries} entries`
    bytes += size
    if (bytes > limits.bytes) return `more than ${limits.bytes} bytes`
    return undefined
  }
}
