import { Tensor } from '../../../converters/onnx/tensor.ts'
import { keyOf, uniforms } from '../../../converters/perturb/random.ts'

type Tensors = Readonly<Record<string, Tensor>>

/** Share of its size by which a value is moved. */
const STIR = 0.1

/**
 * Values near the given ones in which nothing is zero or alike, so that a value in the wrong place shows:
 * first weights of a network are full of zeros and ones.
 */
export function trialValues(values: Tensors): Tensors {
  const trial = Object.entries(values).map(([name, { dims, floats }]) => {
    const size = length(floats) / Math.sqrt(floats.length) || 1
    const noise = uniforms([keyOf('trial'), keyOf(name)], floats.length)
    return [
      name,
      Tensor.float32(
        dims,
        floats.map((value, i) => value + STIR * size * (2 * noise[i]! - 1)),
      ),
    ]
  })
  return Object.fromEntries(trial)
}

/**
 * Rounding differs between two orders of the same sums, and kinks make a little of it large, in deep networks most of
 * all; values in the wrong place are off by their own size.
 */
const TOLERANCE = 0.1

/** Whether two computations of the same outputs differ by no more than rounding. */
export const agree = (some: Tensors, others: Tensors): boolean =>
  Object.entries(some).every(([name, { floats }]) => {
    const other = others[name]!.floats
    const difference = length(floats.map((value, i) => value - other[i]!))
    return difference <= TOLERANCE * length(other)
  })

const length = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
