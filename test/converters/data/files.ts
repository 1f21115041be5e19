import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { zipSync } from 'fflate'
import { afterAll } from 'vitest'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A folder with these files that goes when the file's tests are over. */
export function folderWith(files: Readonly<Record<string, Uint8Array | string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'zoo-data-'))
  folders.push(folder)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  return folder
}

export type Elements =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array

const TYPES = new Map<unknown, string>([
  [Uint8Array, '|u1'],
  [Int8Array, '|i1'],
  [Int16Array, '<i2'],
  [Int32Array, '<i4'],
  [BigInt64Array, '<i8'],
  [Float32Array, '<f4'],
  [Float64Array, '<f8'],
])

/** An array as NumPy saves it. `header` replaces parts of what the header says. */
export function npy(
  elements: Elements,
  shape: readonly number[],
  header: Record<string, string> = {},
): Uint8Array {
  const { descr, order } = { descr: TYPES.get(elements.constructor)!, order: 'False', ...header }
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape.join(', ')}${shape.length === 1 ? ',' : ''}), }`
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`
  const head = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${padded}`, 'latin1')
  head.writeUInt16LE(padded.length, 8)
  return Buffer.concat([head, Buffer.from(elements.buffer, elements.byteOffset, elements.byteLength)])
}

/** An archive as np.savez writes it, or as np.savez_compressed does. */
export function npz(arrays: Readonly<Record<string, Uint8Array>>, level: 0 | 6 = 0): Uint8Array {
  const members = Object.entries(arrays).map(([name, bytes]) => [`${name}.npy`, bytes] as const)
  return zipSync(Object.fromEntries(members), { level })
}

/** An IDX file of bytes. */
export function idx(extents: readonly number[], bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(4 + 4 * extents.length)
  head[2] = 8
  head[3] = extents.length
  for (const [i, extent] of extents.entries()) head.writeInt32BE(extent, 4 + 4 * i)
  return Buffer.concat([head, bytes])
}
