import type { Node } from '../graph.ts'
import type { FindRule } from './active.ts'
import { type Rule, rule } from './rule.ts'

/** Replaces the gradient of chosen nodes: all of an operator, or one by name. The forward pass stays as it is. */
export interface Override {
  readonly opType?: string
  /** The node's name, or the name of its first output. */
  readonly node?: string
  readonly gradient: Rule
}

/** Overrides first, in order; then the table. */
export const overriding =
  (overrides: readonly Override[], table: FindRule): FindRule =>
  (node) =>
    overrides.find((override) => applies(override, node))?.gradient ?? table(node)

const applies = ({ opType, node: name }: Override, node: Node): boolean =>
  (opType === undefined || opType === node.opType) &&
  (name === undefined || name === node.name || name === node.outputs[0])

/** As if the node were the identity of its first input (Bengio et al. 2013): for rounding, thresholds, quantisation. */
export const straightThrough: Rule = rule(({ dy }) => [() => dy, null])
