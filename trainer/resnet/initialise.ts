import { sizeOf, Tensor } from '../../converters/onnx/tensor.ts'
import { keyOf, normals } from '../../converters/perturb/random.ts'

/** First values of a weight of this shape. */
export type Initialiser = (dims: readonly number[], key: readonly number[]) => Float32Array

export const constant =
  (value: number): Initialiser =>
  (dims) =>
    new Float32Array(sizeOf(dims)).fill(value)

export const gaussian =
  (deviation: number): Initialiser =>
  (dims, key) =>
    normals(key, sizeOf(dims)).map((value) => value * deviation)

/** Variance 2 / fan-out (He et al. 2015) of an OIHW kernel. */
export const heFanOut: Initialiser = (dims, key) => {
  const [outputs, , height, width] = dims as [number, number, number, number]
  return gaussian(Math.sqrt(2 / (outputs * height * width)))(dims, key)
}

/** A weight's first value depends on the seed and its name alone, so branches and depths don't disturb one another. */
export const initialised = (
  initialiser: Initialiser,
  seed: number,
  name: string,
  dims: readonly number[],
): Tensor => Tensor.float32(dims, initialiser(dims, [seed, keyOf('weight'), keyOf(name)]))
