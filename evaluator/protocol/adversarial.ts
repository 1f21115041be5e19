import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { ZooError } from '../../manifests/error.ts'

/**
 * Perturbations are whole multiples of 2^-24, the distance between float32 numbers just below 1.
 * Rounding moves no element by more than 3e-8, and in exchange a perturbation of ±eps is a few distinct
 * whole numbers, which compress well, and what is stored is to the bit what was judged.
 */
const UNIT = 2 ** -24

/** The perturbation that leads from `origin` to `x`, in units of 2^-24. */
export function perturbation(x: Float32Array, origin: Float32Array): Int32Array {
  const steps = new Int32Array(x.length)
  for (let i = 0; i < x.length; i++) steps[i] = Math.round((x[i]! - origin[i]!) / UNIT)
  return steps
}

/** The image that a perturbation makes of `origin`: the one way from stored to shown, for judge and replay alike. */
export function perturbed(origin: Float32Array, steps: Int32Array): Float32Array {
  const x = new Float32Array(origin.length)
  for (let i = 0; i < x.length; i++)
    x[i] = steps[i] === 0 ? origin[i]! : Math.min(Math.max(origin[i]! + steps[i]! * UNIT, 0), 1)
  return x
}

/** Perturbations of equal size as bytes: zigzag, then the numbers' lowest bytes, then the next, deflated. */
export function encodePerturbations(all: readonly Int32Array[]): Uint8Array {
  const size = all[0]?.length ?? 0
  const planes = new Uint8Array(4 * size * all.length)
  for (const [n, steps] of all.entries())
    for (let i = 0; i < size; i++) {
      const zigzag = (steps[i]! << 1) ^ (steps[i]! >> 31)
      for (let plane = 0; plane < 4; plane++) planes[(4 * n + plane) * size + i] = zigzag >>> (8 * plane)
    }
  return deflateRawSync(planes, { level: 6 })
}

/**
 * The inverse of `encodePerturbations` for `count` images of `size` elements.
 *
 * @throws ZooError `integrity` when the bytes are not that
 */
export function decodePerturbations(bytes: Uint8Array, count: number, size: number): Int32Array[] {
  const planes = inflate(bytes, 4 * size * count)
  if (planes.length !== 4 * size * count)
    throw new ZooError(
      'integrity',
      `stored perturbations hold ${planes.length} bytes, not ${4 * size * count}`,
    )
  return Array.from({ length: count }, (_, n) => {
    const steps = new Int32Array(size)
    for (let i = 0; i < size; i++) {
      let zigzag = 0
      for (let plane = 3; plane >= 0; plane--) zigzag = (zigzag << 8) | planes[(4 * n + plane) * size + i]!
      steps[i] = (zigzag >>> 1) ^ -(zigzag & 1)
    }
    return steps
  })
}

/** No further than the length that is wanted: a few bytes from a stranger may unpack to a great many. */
function inflate(bytes: Uint8Array, length: number): Uint8Array {
  try {
    return inflateRawSync(bytes, { maxOutputLength: Math.max(1, length) })
  } catch (error) {
    throw new ZooError('integrity', 'stored perturbations cannot be unpacked', { cause: error })
  }
}
