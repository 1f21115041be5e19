/** The 16-bit floats, as bit patterns: JavaScript has no arrays of them. */

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction. */
export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The nearest float16, the even one of two; beyond 65504 infinity. */
export function toFloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const size = Math.abs(value)
  if (Number.isNaN(size)) return 0x7e00
  if (size >= 65520) return sign | 0x7c00
  // Below 2^-14 numbers are spaced as at 2^-14. A fraction that rounds up to 2 carries into the exponent by itself.
  const exponent = Math.max(Math.floor(Math.log2(size)), -14)
  const units = roundToEven(size / 2 ** (exponent - 10))
  return sign | (units < 1024 ? units : ((exponent + 15) << 10) + (units - 1024))
}

/** bfloat16 is the upper half of float32. */
export function fromBfloat16(bits: number): number {
  scratch.setUint32(0, bits << 16)
  return scratch.getFloat32(0)
}
const scratch = new DataView(new ArrayBuffer(4))

function roundToEven(value: number): number {
  const below = Math.floor(value)
  const rest = value - below
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below
}
