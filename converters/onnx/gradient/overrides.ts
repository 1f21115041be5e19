import { ZooError } from '../../../manifests/error.ts'
import { describe, type Graph, type Node } from '../graph.ts'
import type { FindRule } from './active.ts'
import { type Rule, rule, ruleThroughIntegers } from './rule.ts'
import { sameSizes } from './sizes.ts'

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

/** Overrides that name none of the graph's nodes or operators do nothing: most likely a slip of the pen. */
export const appliesAnywhere = (override: Override, { nodes }: Graph): boolean =>
  nodes.some((node) => applies(override, node))

const applies = ({ opType, node: name }: Override, node: Node): boolean =>
  (opType === undefined || opType === node.opType) &&
  (name === undefined || name === node.name || name === node.outputs[0])

/** As if the node were the identity of its first input (Bengio et al. 2013): for rounding, thresholds, quantisation. */
export const straightThrough: Rule = ruleThroughIntegers(({ node, dy, x, y, facts }) => {
  if (!sameSizes(facts.sizes(x[0]!), facts.sizes(y)))
    throw new ZooError(
      'usage',
      `${describe(node)} cannot count as the identity: it changes the shape of its input`,
    )
  return [() => dy, null]
})

/** Relu's step becomes sigmoid(beta x): the gradient of softplus(beta x) / beta, which has no dead half. */
export const smoothRelu = (beta: number): Rule =>
  rule(({ op, dy, x }) => [() => op.mul(dy, op.op('Sigmoid', [op.scale(x[0]!, beta)]))])

/**
 * A formula of one's own: a graph with one output, the gradient with respect to the node's first input, and any of the
 * inputs `dy`, `x` (the first input) and `y` (the first output).
 */
export const formula = (graph: Graph): Rule =>
  rule(({ op, dy, x, y }) => [() => op.inline(graph, { dy, x: x[0]!, y })[0]!, null])
