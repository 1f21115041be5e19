import { GraphBuilder } from '../builder.ts'
import { Attributes, type Graph, type Node } from '../graph.ts'
import type { Facts } from './facts.ts'
import { isFixed, type Sizes } from './sizes.ts'
import { extent } from './windows.ts'

const POOLS = new Set(['MaxPool', 'AveragePool', 'LpPool'])

/**
 * With ceil_mode, a last window that would start beyond the image and its padding is left out: by PyTorch and by
 * onnxruntime's kernels, but not by its shape inference, which then contradicts every operator that was told the true
 * shape. Such a pool becomes one without ceil_mode, whose padding says the same.
 */
export function settleCeilMode(graph: Graph, facts: Facts): Graph {
  const settledGraph: Graph = { ...graph, nodes: [], initializers: new Map(graph.initializers) }
  const builder = new GraphBuilder({ ...settledGraph, nodes: [...graph.nodes] })
  let changed = false
  for (const node of graph.nodes) {
    const before = builder.graph.nodes.length
    const pool = settled(node, facts, builder)
    changed ||= pool !== undefined
    settledGraph.nodes.push(...builder.graph.nodes.splice(before), pool ?? node)
  }
  return changed ? settledGraph : graph
}

function settled(node: Node, facts: Facts, builder: GraphBuilder): Node | undefined {
  if (node.domain !== '' || !POOLS.has(node.opType)) return undefined
  const attributes = new Attributes(node)
  if (!attributes.int('ceil_mode', 0) || attributes.string('auto_pad', 'NOTSET') !== 'NOTSET')
    return undefined
  const [image, positions]: Sizes[] = [node.inputs[0]!, node.outputs[0]!].map((value) =>
    facts.sizes(value).slice(2),
  )
  if (!isFixed(image!) || !isFixed(positions!)) return undefined
  const kernel = attributes.ints('kernel_shape')!
  const strides = attributes.ints('strides') ?? kernel.map(() => 1)
  const dilations = attributes.ints('dilations') ?? kernel.map(() => 1)
  const pads = attributes.ints('pads') ?? [...kernel, ...kernel].map(() => 0)
  const axes = kernel.map((size, i) => {
    const end = pads[i + kernel.length]!
    const reach = image[i]! + pads[i]! + end - extent(size, dilations[i]!)
    const overhang = (positions[i]! - 1) * strides[i]! - reach
    return { inferred: Math.ceil(reach / strides[i]!) + 1, overhang, end: end + Math.max(0, overhang), size }
  })
  if (axes.every(({ inferred }, i) => inferred === positions[i])) return undefined
  if (axes.some(({ end, size }) => end >= size)) return undefined
  const begins = pads.slice(0, kernel.length)
  const ends = pads.slice(kernel.length)
  const counts = node.opType === 'AveragePool' && attributes.int('count_include_pad', 0) !== 0
  if (!counts || axes.every(({ overhang }) => overhang <= 0))
    return windowed(node, [...begins, ...axes.map(({ end }) => end)])
  // Padding counts for a mean if the node says so, what hangs over the padding never does.
  const padded = builder.op('Pad', [node.inputs[0]!, builder.int64s([0, 0, ...begins, 0, 0, ...ends])])
  const overhangs = axes.map(({ overhang }) => Math.max(0, overhang))
  const pool = windowed({ ...node, inputs: [padded] }, [...begins.map(() => 0), ...overhangs])
  return { ...pool, attributes: new Map([...pool.attributes].filter(([key]) => key !== 'count_include_pad')) }
}

function windowed(node: Node, pads: readonly number[]): Node {
  const attributes = new Map(node.attributes)
  attributes.delete('ceil_mode')
  attributes.set('pads', { type: 'ints', value: pads.map(BigInt) })
  return { ...node, attributes }
}
