import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { inflateRawSync } from 'node:zlib'
import { ZooError } from '../../manifests/error.ts'

/** A member of a zip archive: where its bytes are, or the bytes themselves where it was compressed. */
export type ZipMember =
  | { readonly kind: 'stored'; readonly offset: number; readonly size: number }
  | { readonly kind: 'inflated'; readonly bytes: Buffer }

const END_OF_DIRECTORY = 0x06054b50
const ZIP64_LOCATOR = 0x07064b50
const LONGEST_END = 22 + 0xffff + 20
const LARGEST_COMPRESSED = 2 ** 31 - 1

/**
 * The members of a zip archive by name, through its central directory (PKWARE APPNOTE 4.3; zip64 included), so that
 * stored members can be read in place however large they are. Deflated members are inflated into memory.
 *
 * @param wanted names worth inflating; others are left out
 * @throws ZooError `invalid-data` where it is no zip archive or a member is out of bounds
 */
export function readZip(path: string, wanted: ReadonlySet<string>): Map<string, ZipMember> {
  return withArchive(path, (size, at) => {
    const members = new Map<string, ZipMember>()
    for (const entry of entries(path, size, at))
      if (wanted.has(entry.name)) members.set(entry.name, member(path, entry, at))
    return members
  })
}

/** The names of a zip archive's members. */
export function zipNames(path: string): string[] {
  return withArchive(path, (size, at) => Array.from(entries(path, size, at), ({ name }) => name))
}

/** Opens an archive for reading at offsets, and closes it again. */
function withArchive<T>(path: string, read: (size: number, at: ReadAt) => T): T {
  const descriptor = openSync(path, 'r')
  try {
    const { size } = statSync(path)
    return read(size, (offset, length) => {
      if (offset < 0 || length < 0 || offset + length > size) throw damaged(path)
      const bytes = Buffer.alloc(length)
      for (let done = 0; done < length; ) {
        const read = readSync(descriptor, bytes, done, length - done, offset + done)
        if (read === 0) throw damaged(path)
        done += read
      }
      return bytes
    })
  } finally {
    closeSync(descriptor)
  }
}

type ReadAt = (offset: number, length: number) => Buffer

interface Entry {
  readonly name: string
  readonly method: number
  readonly compressed: number
  readonly size: number
  readonly header: number
}

function* entries(path: string, size: number, at: ReadAt): Generator<Entry> {
  const directory = findDirectory(path, size, at)
  const bytes = at(directory.offset, directory.length)
  for (let p = 0, n = 0; n < directory.count; n++) {
    if (p + 46 > bytes.length) throw damaged(path)
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((o) => bytes.readUInt16LE(p + o))
    const extra = bytes.subarray(p + 46 + nameLength!, p + 46 + nameLength! + extraLength!)
    const [uncompressed, compressed, header] = wide(
      extra,
      [24, 20, 42].map((o) => bytes.readUInt32LE(p + o)),
    )
    yield {
      name: bytes.toString('utf8', p + 46, p + 46 + nameLength!),
      method: bytes.readUInt16LE(p + 10),
      size: uncompressed!,
      compressed: compressed!,
      header: header!,
    }
    p += 46 + nameLength! + extraLength! + commentLength!
  }
}

function findDirectory(
  path: string,
  size: number,
  at: ReadAt,
): { offset: number; length: number; count: number } {
  const start = Math.max(0, size - LONGEST_END)
  const tail = at(start, size - start)
  for (let p = tail.length - 22; p >= 0; p--) {
    if (tail.readUInt32LE(p) !== END_OF_DIRECTORY) continue
    if (p >= 20 && tail.readUInt32LE(p - 20) === ZIP64_LOCATOR) {
      const end = at(Number(tail.readBigUInt64LE(p - 12)), 56)
      const [count, length, offset] = [32, 40, 48].map((o) => Number(end.readBigUInt64LE(o)))
      return { count: count!, length: length!, offset: offset! }
    }
    return {
      count: tail.readUInt16LE(p + 10),
      length: tail.readUInt32LE(p + 12),
      offset: tail.readUInt32LE(p + 16),
    }
  }
  throw damaged(path)
}

const WIDE = 0xffffffff

/** Values that don't fit 32 bits stand in the zip64 extra field (header 0x0001), in order. */
function wide(extra: Buffer, values: readonly number[]): number[] {
  let field = Buffer.alloc(0)
  for (let p = 0; p + 4 <= extra.length; p += 4 + extra.readUInt16LE(p + 2))
    if (extra.readUInt16LE(p) === 1)
      field = Buffer.from(extra.subarray(p + 4, p + 4 + extra.readUInt16LE(p + 2)))
  let used = 0
  return values.map((value) => {
    if (value !== WIDE || used + 8 > field.length) return value
    used += 8
    return Number(field.readBigUInt64LE(used - 8))
  })
}

function member(path: string, { name, method, size, compressed, header }: Entry, at: ReadAt): ZipMember {
  const local = at(header, 30)
  const offset = header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (method === 0) {
    at(offset + size, 0)
    return { kind: 'stored', offset, size }
  }
  if (method !== 8 || size > LARGEST_COMPRESSED)
    throw new ZooError('invalid-data', `${name} in ${path} is compressed beyond what can be read in place`, {
      hint: 'save it uncompressed: np.savez instead of np.savez_compressed',
    })
  try {
    const bytes = inflateRawSync(at(offset, compressed), { maxOutputLength: Math.max(1, size) })
    if (bytes.length === size) return { kind: 'inflated', bytes }
  } catch {
    // Said below.
  }
  throw damaged(path)
}

const damaged = (path: string): ZooError =>
  new ZooError('invalid-data', `${path} is not a whole zip archive`, {
    hint: 'save it again with np.savez(path, x=..., y=...)',
  })
