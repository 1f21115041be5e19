import { ZooError } from '../../manifests/error.ts'

/** What the header of a .npy array says (NumPy Enhancement Proposal 1). */
export interface NpyHeader {
  /** `u1`, `f4`, `i8` and so on, little-endian. */
  readonly type: string
  readonly shape: readonly number[]
  /** Bytes before the elements. */
  readonly length: number
}

/** Bytes that hold any header of an array that makes sense here. */
export const NPY_HEAD = 4096

/**
 * Reads the header of a .npy array.
 *
 * @param what names the array in errors
 * @throws ZooError `invalid-data` for other bytes, big-endian elements, or column-major order
 */
export function parseNpyHeader(head: Buffer, what: string): NpyHeader {
  const major = head[6] ?? 0
  const begin = major >= 2 ? 12 : 10
  const length = head.length < 12 ? 0 : major >= 2 ? head.readUInt32LE(8) : head.readUInt16LE(8)
  const isNpy = head.toString('latin1', 0, 6) === '\x93NUMPY' && begin + length <= head.length
  const text = isNpy ? head.toString('latin1', begin, begin + length) : ''
  const type = /'descr':\s*'([<>|=])([a-zA-Z]\d+)'/.exec(text)
  const shape = /'shape':\s*\(([^)]*)\)/.exec(text)
  if (type === null || shape === null)
    throw new ZooError('invalid-data', `${what} is not a plain numeric array`)
  if (type[1] === '>')
    throw new ZooError('invalid-data', `${what} is big-endian`, {
      hint: `save ${what}.astype('<${type[2]}')`,
    })
  const shapes = shape[1]!
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(Number)
  if (/'fortran_order':\s*True/.test(text) && shapes.filter((extent) => extent > 1).length > 1)
    throw new ZooError('invalid-data', `${what} is in column-major order`, {
      hint: `save np.ascontiguousarray(${what})`,
    })
  return { type: type[2]!, shape: shapes, length: begin + length }
}

/** Reads one element of each numeric type that may stand for a label or a budget. */
const READ: Record<string, { readonly bytes: number; at(buffer: Buffer, offset: number): number }> = {
  u1: { bytes: 1, at: (b, o) => b.readUInt8(o) },
  i1: { bytes: 1, at: (b, o) => b.readInt8(o) },
  u2: { bytes: 2, at: (b, o) => b.readUInt16LE(o) },
  i2: { bytes: 2, at: (b, o) => b.readInt16LE(o) },
  u4: { bytes: 4, at: (b, o) => b.readUInt32LE(o) },
  i4: { bytes: 4, at: (b, o) => b.readInt32LE(o) },
  u8: { bytes: 8, at: (b, o) => Number(b.readBigUInt64LE(o)) },
  i8: { bytes: 8, at: (b, o) => Number(b.readBigInt64LE(o)) },
  f4: { bytes: 4, at: (b, o) => b.readFloatLE(o) },
  f8: { bytes: 8, at: (b, o) => b.readDoubleLE(o) },
}

/** All elements of a small array as numbers. */
export function npyNumbers(bytes: Buffer, header: NpyHeader, what: string): number[] {
  const reader = READ[header.type]
  if (reader === undefined) throw new ZooError('invalid-data', `${what} has elements of type ${header.type}`)
  const count = header.shape.reduce((product, extent) => product * extent, 1)
  if (bytes.length !== header.length + count * reader.bytes)
    throw new ZooError('invalid-data', `${what} is cut off`)
  return Array.from({ length: count }, (_, i) => reader.at(bytes, header.length + i * reader.bytes))
}
