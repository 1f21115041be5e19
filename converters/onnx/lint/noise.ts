import { uniforms } from '../../perturb/random.ts'
import { toFloat16 } from '../half.ts'
import { type DataType, sizeOf, Tensor } from '../tensor.ts'

/** The share of the pixels that get noise; the others stay dark. Models of digits saturate at full noise. */
const DENSITY = { full: 1, sparse: 0.02 }

/**
 * Random images, the same each time. Their steps of 1/256 of the range are exact in every float type, and whole
 * numbers where the range is that of bytes.
 */
export function randomImages(
  dims: readonly number[],
  [low, high]: readonly [number, number],
  density: keyof typeof DENSITY,
): Tensor {
  const step = high - low > 100 ? 1 : (high - low) / 256
  const size = sizeOf(dims)
  const where = uniforms([0], size)
  const values = uniforms([1], size).map((value, i) =>
    where[i]! < DENSITY[density] ? low + step * Math.floor(value * 256) : low,
  )
  return Tensor.float32(dims, values)
}

/** The same images in another element type. */
export function inType(images: Tensor, dtype: DataType): Tensor {
  const { dims, floats } = images
  switch (dtype) {
    case 'uint8':
      return Tensor.of(dtype, dims, Uint8Array.from(floats))
    case 'int8':
      return Tensor.of(dtype, dims, Int8Array.from(floats))
    case 'int32':
      return Tensor.of(dtype, dims, Int32Array.from(floats))
    case 'float64':
      return Tensor.of(dtype, dims, Float64Array.from(floats))
    case 'float16':
      return Tensor.of(dtype, dims, Uint16Array.from(floats, toFloat16))
    default:
      return images
  }
}
