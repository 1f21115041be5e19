import { type AttributeValues, GraphBuilder } from '../builder.ts'
import { Attributes, type Graph, type Node } from '../graph.ts'
import type { Facts } from './facts.ts'
import { axisOf, range } from './sizes.ts'

/**
 * Replaces sequences of known length by plain values: exporters write PyTorch's `split`, `chunk` and `unbind` as
 * SplitToSequence and SequenceAt, and `stack` and `cat` of lists as SequenceConstruct and ConcatFromSequence.
 * Sequences of unknown length stay.
 */
export function lowerSequences(graph: Graph, facts: Facts): Graph {
  const elements = new Map<string, readonly string[]>()
  const lowered: Graph = { ...graph, nodes: [], initializers: new Map(graph.initializers) }
  const builder = new GraphBuilder({ ...lowered, nodes: [...graph.nodes] })
  const emit = (
    opType: string,
    inputs: readonly string[],
    attributes: AttributeValues,
    outputs: string[],
  ): void => {
    const before = builder.graph.nodes.length
    builder.ops(opType, inputs, attributes, { outputs })
    lowered.nodes.push(...builder.graph.nodes.splice(before))
  }
  for (const node of graph.nodes) {
    const sequence = elements.get(node.inputs[0] ?? '')
    const made = node.domain === '' ? elementsOf(node, facts, builder, emit) : undefined
    if (made) elements.set(node.outputs[0]!, made)
    else if (node.opType === 'SequenceAt' && sequence) {
      const index = facts.constant(node.inputs[1]!)?.numbers[0]
      if (index === undefined) return graph
      emit('Identity', [sequence[axisOf(index, sequence.length)]!], {}, [...node.outputs])
    } else if (node.opType === 'ConcatFromSequence' && sequence) {
      const attributes = new Attributes(node)
      const axis = attributes.int('axis', 0)
      const parts = attributes.int('new_axis', 0)
        ? sequence.map((part) => {
            const name = builder.fresh(`${part}/unsqueezed`)
            emit('Unsqueeze', [part, builder.int64s([axis])], {}, [name])
            return name
          })
        : sequence
      emit('Concat', parts, { axis }, [...node.outputs])
    } else if (sequence) return graph
    else lowered.nodes.push(node)
  }
  return elements.size === 0 ? graph : lowered
}

type Emit = (
  opType: string,
  inputs: readonly string[],
  attributes: AttributeValues,
  outputs: string[],
) => void

/** The values of a sequence that a node makes; undefined if it makes none, or one of unknown length. */
function elementsOf(
  node: Node,
  facts: Facts,
  builder: GraphBuilder,
  emit: Emit,
): readonly string[] | undefined {
  if (node.opType === 'SequenceConstruct') return node.inputs
  if (node.opType !== 'SplitToSequence') return undefined
  const attributes = new Attributes(node)
  const value = node.inputs[0]!
  const sizes = facts.sizes(value)
  const axis = axisOf(attributes.int('axis', 0), sizes.length)
  const size = sizes[axis]!
  const given = node.inputs[1] ? facts.constant(node.inputs[1]) : undefined
  if (typeof size !== 'number' || (node.inputs[1] && !given)) return undefined
  const lengths = lengthsOf(size, given?.dims.length ? given.numbers : given?.numbers[0])
  const parts = lengths.map((_, i) => builder.fresh(`${node.outputs[0]}/${i}`))
  emit('Split', [value, builder.int64s(lengths)], { axis }, parts)
  if (node.inputs[1] || attributes.int('keepdims', 1)) return parts
  return parts.map((part) => {
    const squeezed = builder.fresh(`${part}/squeezed`)
    emit('Squeeze', [part, builder.int64s([axis])], {}, [squeezed])
    return squeezed
  })
}

/** Explicit lengths, one length for all but perhaps the last, or single elements. */
function lengthsOf(size: number, split: readonly number[] | number | undefined): readonly number[] {
  if (typeof split === 'object') return split
  const length = split ?? 1
  return range(Math.ceil(size / length)).map((i) => Math.min(length, size - i * length))
}
