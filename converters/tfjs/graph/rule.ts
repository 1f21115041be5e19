import type { Dim, Dims } from '../dims.ts'
import type { Lowering } from '../lowering/lowering.ts'
import { unsupported } from '../lowering/lowering.ts'
import type { Value } from '../lowering/value.ts'
import type { GraphNode, NodeAttributes } from './graphdef.ts'

/** What a rule is given: one node and the values of its inputs. */
export interface NodeCall {
  readonly l: Lowering
  readonly node: GraphNode
  readonly attributes: NodeAttributes
  readonly inputs: readonly Value[]
  /** The first input. */
  readonly x: Value
}

/** Writes one TensorFlow operator as tfjs computes it. Most have one result. */
export type NodeRule = (call: NodeCall) => Value | readonly Value[]

export type NodeTable = Readonly<Record<string, NodeRule>>

/** The contents of an input that must be known when the model is converted: sizes, the open batch among them. */
export function extentsOf(value: Value | undefined, what: string): Dims {
  if (value?.kind === 'extents') return value.items
  if (value?.kind === 'constant') return value.tensor.numbers
  throw unsupported(`${what} that the model computes`)
}

/** Contents that are numbers: axes, pads, positions. */
export function numbersOf(value: Value | undefined, what: string): number[] {
  return extentsOf(value, what).map((item: Dim) => {
    if (typeof item !== 'number') throw unsupported(`${what} that depend on the batch size`)
    return item
  })
}

export const numberOf = (value: Value | undefined, what: string): number => {
  const [only] = numbersOf(value, what)
  if (only === undefined) throw unsupported(`${what} that the model computes`)
  return only
}
