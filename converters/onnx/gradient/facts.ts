import type { DataType, Tensor } from '../tensor.ts'
import type { Sizes } from './sizes.ts'

/** What one run (two, if the batch size is open) of a model tells about its values. See `probe`. */
export interface Facts {
  /** Element type; undefined for values that the model doesn't have. */
  dtype(value: string): DataType | undefined
  /** Shape; throws for values that the model doesn't have. */
  sizes(value: string): Sizes
  /**
   * The value itself where it depends on nothing but weights and shapes, and is the same for every batch size:
   * constants, and what shape arithmetic comes to.
   */
  constant(value: string): Tensor | undefined
  /** The graph input whose first axis is the batch size, where that is open. */
  readonly batch: string | null
}
