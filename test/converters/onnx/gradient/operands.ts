import { sizeOf, Tensor } from '../../../../converters/onnx/tensor.ts'
import { integers, normals, uniforms } from '../../../../converters/perturb/random.ts'
import type { Variable } from './check-rule.ts'

/** Standard normal values, scaled and shifted. */
export const normal = (dims: readonly number[], seed: number, scale = 1, shift = 0): Variable => ({
  dims,
  values: normals([seed], sizeOf(dims)).map((value) => value * scale + shift),
})

export const between = (low: number, high: number, dims: readonly number[], seed: number): Variable => ({
  dims,
  values: uniforms([seed], sizeOf(dims)).map((value) => low + (high - low) * value),
})

/** Normal values that keep a distance from kinks, so that finite differences don't cross them. */
export function awayFrom(
  kinks: readonly number[],
  dims: readonly number[],
  seed: number,
  distance = 0.15,
): Variable {
  const values = normals([seed], sizeOf(dims)).map((value) => {
    const near = kinks.find((kink) => Math.abs(value - kink) < distance)
    return near === undefined ? value : near + (value < near ? -2 : 2) * distance
  })
  return { dims, values }
}

/** All values differ by far more than a finite difference, in random order: for maxima. */
export function distinct(dims: readonly number[], seed: number, gap = 0.2): Variable {
  const count = sizeOf(dims)
  const order = Array.from({ length: count }, (_, i) => i)
  const draws = uniforms([seed], count)
  order.sort((a, b) => draws[a]! - draws[b]!)
  return { dims, values: Float32Array.from(order, (rank) => (rank - count / 2) * gap) }
}

/** Declares axis 0 as an open batch axis. */
export const batched = (variable: Variable): Variable => ({ ...variable, batched: true })

export const int64s = (...values: number[]): Tensor => Tensor.int64([values.length], values)

export const indices = (dims: readonly number[], below: number, seed: number): Tensor =>
  Tensor.int64(dims, Array.from(integers([seed], sizeOf(dims), below)))

export const constant = (dims: readonly number[], seed: number): Tensor =>
  Tensor.float32(dims, normals([seed], sizeOf(dims)))
