import { type DataType, Tensor } from '../../onnx/tensor.ts'
import type { Dim, Dims } from '../dims.ts'

/**
 * How a value lies in the file. tfjs keeps channels last; ONNX convolutions want them right after the batch.
 * A value produced by a convolution stays `channels-first` for as long as what follows can work on it that way,
 * so transposes appear only where the two worlds meet: at the image input, and before a flattening.
 */
export type Layout = 'as-is' | 'channels-first'

/** A result of a node, or a model input. `dims` are those that tfjs sees, whatever the layout. */
export interface Computed {
  readonly kind: 'computed'
  readonly name: string
  readonly dtype: DataType
  readonly dims: Dims
  readonly layout: Layout
}

/** A weight. It enters the file only when a node takes it, in the layout and shape in which that node wants it. */
export interface Constant {
  readonly kind: 'constant'
  readonly name: string
  readonly dtype: DataType
  readonly dims: readonly number[]
  readonly tensor: Tensor
}

/** Sizes with the open batch among them, as shape arithmetic handles them: a scalar or a vector. */
export interface Extents {
  readonly kind: 'extents'
  readonly dtype: DataType
  readonly dims: readonly number[]
  readonly items: readonly Dim[]
}

export type Value = Computed | Constant | Extents

export const constant = (name: string, tensor: Tensor): Constant => ({
  kind: 'constant',
  name,
  dtype: tensor.dtype,
  dims: tensor.dims,
  tensor,
})

export const scalar = (value: number): Constant => constant('constant', Tensor.float32([], [value]))

/** The axes of the file's tensor in the order in which `channels-first` keeps them: `[0, last, 1, 2, ...]`. */
export const toChannelsFirst = (rank: number): number[] => [
  0,
  rank - 1,
  ...Array.from({ length: rank - 2 }, (_, i) => i + 1),
]

/** The inverse: `[0, 2, 3, ..., 1]`. */
export const toChannelsLast = (rank: number): number[] => [
  0,
  ...Array.from({ length: rank - 2 }, (_, i) => i + 2),
  1,
]

export const layoutOf = (value: Value): Layout => (value.kind === 'computed' ? value.layout : 'as-is')

/** Where an axis that tfjs counts lies in the file. */
export function storedAxis(axis: number, rank: number, layout: Layout): number {
  if (layout === 'as-is' || axis === 0) return axis
  return axis === rank - 1 ? 1 : axis + 1
}

/** A shape as it lies in the file. */
export const storedDims = (dims: Dims, layout: Layout): Dims =>
  layout === 'as-is' ? dims : toChannelsFirst(dims.length).map((axis) => dims[axis]!)
