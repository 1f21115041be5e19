import { describe, type Graph, type Node } from '../graph.ts'
import { readsOf } from '../reads.ts'
import { isFloat } from '../tensor.ts'
import type { Facts } from './facts.ts'
import type { NoGradient, Rule } from './rule.ts'

/** Finds a node's rule: an override first, then the table. */
export type FindRule = (node: Node) => Rule | NoGradient | undefined

/** A node that the gradient must go back through. */
export interface ActiveNode {
  readonly node: Node
  /** Where it stands among the graph's nodes. */
  readonly index: number
  readonly rule: Rule
}

/** A node at which the gradient ends although the loss depends on it: the true derivative is zero there. */
export interface Stop {
  readonly node: Node
  readonly reason: string
}

export interface Activity {
  /** In topological order. */
  readonly nodes: readonly ActiveNode[]
  /** Values that depend differentiably on what the gradient is taken with respect to. */
  readonly values: ReadonlySet<string>
  readonly stops: readonly Stop[]
  /** Nodes on the way that have no rule. */
  readonly missing: readonly Node[]
}

/** The nodes between `withRespectTo` and `of`, each with its rule. */
export function findActive(
  graph: Graph,
  of: string,
  withRespectTo: readonly string[],
  facts: Facts,
  findRule: FindRule,
): Activity {
  const needed = ancestors(graph, of)
  const values = new Set(withRespectTo)
  const nodes: ActiveNode[] = []
  const stops: Stop[] = []
  const missing: Node[] = []
  for (const [index, node] of graph.nodes.entries()) {
    if (!needed.has(node) || !readsOf(node).some((input) => values.has(input))) continue
    const rule = findRule(node)
    const carriers = node.outputs.filter(
      (output) =>
        output !== '' &&
        (isFloat(facts.dtype(output) ?? 'float32') || throughIntegers(node, rule, values, facts)),
    )
    if (rule !== undefined && 'reason' in rule) stops.push({ node, reason: rule.reason })
    else if (carriers.length === 0) stops.push({ node, reason: 'its results are not floating-point numbers' })
    else if (rule === undefined) missing.push(node)
    else {
      nodes.push({ node, index, rule })
      for (const output of carriers) values.add(output)
    }
  }
  return { nodes, values, stops, missing }
}

/** Integers that stand for real numbers: their gradient is that of the numbers they stand for. */
function throughIntegers(
  node: Node,
  rule: Rule | NoGradient | undefined,
  values: ReadonlySet<string>,
  facts: Facts,
): boolean {
  if (rule && 'integers' in rule && rule.integers) return true
  const [input] = node.inputs
  return (
    input !== undefined &&
    values.has(input) &&
    !isFloat(facts.dtype(input) ?? 'float32') &&
    node.opType !== 'Cast'
  )
}

function ancestors(graph: Graph, of: string): ReadonlySet<Node> {
  const values = new Set([of])
  const nodes = new Set<Node>()
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => values.has(output))) continue
    nodes.add(node)
    for (const input of readsOf(node)) values.add(input)
  }
  return nodes
}

export const describeStop = ({ node, reason }: Stop): string => `${describe(node)}: ${reason}`
