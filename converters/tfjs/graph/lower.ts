import { ZooError } from '../../../manifests/error.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import { type Dims, isFixed, shown } from '../dims.ts'
import { type Lowering, unsupported } from '../lowering/lowering.ts'
import { filled } from '../lowering/shape.ts'
import { constant, type Value } from '../lowering/value.ts'
import type { Problems } from '../problems.ts'
import { folded } from './arithmetic.ts'
import { ELEMENTWISE } from './elementwise.ts'
import type { GraphNode, NodeOutput } from './graphdef.ts'
import { REDUCTIONS } from './reductions.ts'
import { extentsOf, type NodeTable, numberOf } from './rule.ts'
import { SHAPES } from './shapes.ts'
import { WINDOWS } from './windows.ts'

/** Weights of one value everywhere. */
export const CREATION: NodeTable = {
  Fill({ inputs }) {
    return filled(fixedDims(extentsOf(inputs[0], 'a shape')), numberOf(inputs[1], 'a filling'))
  },
  ZerosLike: ({ x }) => filled(fixedDims(x.dims), 0),
  OnesLike: ({ x }) => filled(fixedDims(x.dims), 1),
}

function fixedDims(dims: Dims): readonly number[] {
  if (!isFixed(dims)) throw unsupported(`a filling of shape ${shown(dims)}, which depends on the batch size`)
  return dims
}

/** Every operator that can be converted, besides placeholders, weights and shape arithmetic. */
export const OPERATORS: NodeTable = { ...CREATION, ...ELEMENTWISE, ...REDUCTIONS, ...SHAPES, ...WINDOWS }

/** Operators that only shape arithmetic may use. */
const SHAPE_ARITHMETIC: ReadonlySet<string> = new Set(['Shape', 'Rank', 'Size', 'Range'])

/**
 * The nodes that some outputs need, each after those that it reads. Where nodes read one another in a circle, which
 * TensorFlow's loops do, one of them comes too early; its operator is one that cannot be converted.
 */
export function inOrder(nodes: ReadonlyMap<string, GraphNode>, outputs: readonly NodeOutput[]): GraphNode[] {
  const order: GraphNode[] = []
  const met = new Set<string>()
  const done = new Set<string>()
  const stack = outputs.map(({ node }) => node).reverse()
  while (stack.length > 0) {
    const name = stack.at(-1)!
    const node = nodes.get(name)
    if (node === undefined) throw new ZooError('invalid-model', `the graph has no node called ${name}`)
    if (!met.has(name)) {
      met.add(name)
      for (const input of node.inputs.toReversed()) if (!met.has(input.node)) stack.push(input.node)
    } else {
      stack.pop()
      if (!done.has(name)) order.push(node)
      done.add(name)
    }
  }
  return order
}

/**
 * Writes nodes that come in order. `given` holds the values of placeholders by name. A node that depends on something
 * unsupported has no value; what it is stands in `problems`.
 */
export function lowerGraph(
  l: Lowering,
  nodes: readonly GraphNode[],
  given: ReadonlyMap<string, Value>,
  tensors: ReadonlyMap<string, Tensor>,
  problems: Problems,
): (output: NodeOutput) => Value | undefined {
  const results = new Map<string, readonly (Value | undefined)[]>()
  const resultOf = ({ node, output }: NodeOutput): Value | undefined => results.get(node)?.[output]
  for (const node of nodes) {
    const placed = given.get(node.name)
    if (placed) results.set(node.name, [placed])
    else if (node.op === 'Const') results.set(node.name, [weight(node.name)])
    else results.set(node.name, lowerNode(node))
  }
  return resultOf

  function weight(name: string): Value {
    const tensor = tensors.get(name)
    if (tensor === undefined) throw new ZooError('invalid-model', `no weight ${name}`)
    return constant(name, tensor)
  }

  function lowerNode(node: GraphNode): readonly (Value | undefined)[] {
    const rule = Object.hasOwn(OPERATORS, node.op) ? OPERATORS[node.op] : undefined
    if (rule === undefined && !SHAPE_ARITHMETIC.has(node.op)) {
      problems.add(`operator ${node.op}`, node.name)
      return []
    }
    const inputs = node.inputs.map(resultOf)
    if (!inputs.every((value) => value !== undefined)) return []
    l.scope = node.name
    const call = { l, node, attributes: node.attributes, inputs, x: inputs[0]! }
    const result = problems.attempt(`${node.op} ${node.name}`, () => {
      const known = folded(node, call)
      if (known) return known
      if (rule) return rule(call)
      throw unsupported(`${node.op} of what is known only when the model runs`)
    })
    if (result === undefined) return []
    return Array.isArray(result) ? result : [result as Value]
  }
}
