import { type Elements, Tensor } from '../../onnx/tensor.ts'

/** A tensor with its axes in another order: axis i of the result is axis `perm[i]` of the source. */
export function permuted(tensor: Tensor, perm: readonly number[]): Tensor {
  const dims = perm.map((axis) => tensor.dims[axis]!)
  const strides = stridesOf(tensor.dims)
  const steps = perm.map((axis) => strides[axis]!)
  const source = tensor.elements
  const result = new (source.constructor as new (length: number) => Elements)(source.length)
  const position = new Array<number>(dims.length).fill(0)
  for (let i = 0, from = 0; i < result.length; i++) {
    result[i] = source[from]!
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      from += steps[axis]!
      if (++position[axis]! < dims[axis]!) break
      from -= steps[axis]! * dims[axis]!
      position[axis] = 0
    }
  }
  return Tensor.of(tensor.dtype, dims, result)
}

/** The same elements under another shape. */
export const reshaped = (tensor: Tensor, dims: readonly number[]): Tensor =>
  new Tensor(tensor.dtype, dims, tensor.bytes, tensor.strings)

/** Elements between neighbours along each axis, in row-major order. */
function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length).fill(1)
  for (let axis = dims.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * dims[axis + 1]!
  return strides
}
