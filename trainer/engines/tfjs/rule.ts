import type * as tf from '@tensorflow/tfjs'
import type { Attributes, Node } from '../../../converters/onnx/graph.ts'
import type { Value } from './value.ts'

/** What a rule is given: one node and its operands. */
export interface Operands {
  readonly node: Node
  readonly attributes: Attributes
  /** How many inputs the node names, absent ones included. */
  readonly count: number
  input(index: number): Value
  optional(index: number): Value | undefined
  /** The integers of a shape, an axes list and the like. */
  integers(index: number): number[] | undefined
  /** Outputs that the graph uses; the others need not be computed. */
  wanted(output: number): boolean
}

/**
 * How one ONNX operator is computed with tfjs operations, all of which tfjs can differentiate.
 * Returns fresh tensors, never an operand itself: the interpreter frees values after their last use.
 */
export type Rule = (operands: Operands) => Value | readonly (Value | undefined)[]

export type RuleTable = Readonly<Record<string, Rule>>
export type Tensor = tf.Tensor
