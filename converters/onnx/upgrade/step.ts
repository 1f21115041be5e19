import type { AttributeValues } from '../builder.ts'
import { makeNode } from '../builder.ts'
import type { Attributes, Node } from '../graph.ts'
import type { Rewriter } from './rewriter.ts'

/** Rewrites one node from the form that its operator had before opset `before` into the form that it has from there on. */
export interface Step {
  readonly op: string
  readonly before: number
  /** Returns the node's replacement; nodes that it needs before it are made with `rewriter`. */
  apply(node: Node, attributes: Attributes, rewriter: Rewriter): Node
}

export const step = (op: string, before: number, apply: Step['apply']): Step => ({ op, before, apply })

/** The node with other inputs, some attributes less, some more. */
export function changed(
  node: Node,
  change: {
    readonly opType?: string
    readonly inputs?: readonly string[]
    readonly outputs?: readonly string[]
    readonly without?: readonly string[]
    readonly with?: AttributeValues
  },
): Node {
  const attributes = new Map(node.attributes)
  for (const name of change.without ?? []) attributes.delete(name)
  const added = makeNode(node.opType, [], [], change.with ?? {}).attributes
  for (const [name, attribute] of added) attributes.set(name, attribute)
  return {
    ...node,
    opType: change.opType ?? node.opType,
    inputs: withoutTrailingBlanks(change.inputs ?? node.inputs),
    outputs: change.outputs ?? node.outputs,
    attributes,
  }
}

function withoutTrailingBlanks(inputs: readonly string[]): readonly string[] {
  let length = inputs.length
  while (length > 0 && inputs[length - 1] === '') length--
  return inputs.slice(0, length)
}

/** Steps by which an attribute that holds a list of integers becomes an input. */
export const intsToInput = (op: string, before: number, attribute: string, index: number): Step =>
  step(op, before, (node, attributes, rewriter) => {
    const values = attributes.ints(attribute)
    if (values === undefined || values.length === 0) return changed(node, { without: [attribute] })
    return changed(node, {
      inputs: withInput(node, index, rewriter.int64s(values)),
      without: [attribute],
    })
  })

/** The node's inputs with one put at `index`; the places before it that have none stay blank. */
export function withInput(node: Node, index: number, value: string): string[] {
  const inputs = Array.from(
    { length: Math.max(index + 1, node.inputs.length) },
    (_, i) => node.inputs[i] ?? '',
  )
  inputs[index] = value
  return inputs
}
