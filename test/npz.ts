import { writeFileSync } from 'node:fs'
import { zipSync } from 'fflate'

type Numbers = Uint8Array | Float32Array | Int32Array

const DESCR = new Map<unknown, string>([
  [Uint8Array, '|u1'],
  [Float32Array, '<f4'],
  [Int32Array, '<i4'],
])

/** An array as NumPy's `np.save` writes it, version 1.0. */
function npy(values: Numbers, shape: readonly number[]): Uint8Array {
  const tuple = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`
  const text = `{'descr': '${DESCR.get(values.constructor)}', 'fortran_order': False, 'shape': ${tuple}, }`
  const head = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11, ' ')
  const bytes = new Uint8Array(10 + head.length + 1 + values.byteLength)
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, (head.length + 1) & 255, (head.length + 1) >> 8])
  bytes.set(new TextEncoder().encode(`${head}\n`), 10)
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 10 + head.length + 1)
  return bytes
}

/** Writes an .npz of images and labels, as `zoo eval --data` takes it. */
export function writeNpz(
  path: string,
  data: {
    readonly x: Uint8Array | Float32Array
    /** Of all images: [N,C,H,W] or [N,H,W,C]. */
    readonly shape: readonly number[]
    readonly y: readonly number[]
    readonly eps?: readonly number[]
    readonly target?: readonly number[]
  },
): string {
  const { x, shape, y, eps, target } = data
  const files = {
    'x.npy': npy(x, shape),
    'y.npy': npy(Int32Array.from(y), [y.length]),
    ...(eps && { 'eps.npy': npy(Float32Array.from(eps), [eps.length]) }),
    ...(target && { 'target.npy': npy(Int32Array.from(target), [target.length]) }),
  }
  writeFileSync(path, zipSync(files, { level: 0 }))
  return path
}
