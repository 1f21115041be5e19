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
  const nodes = graph.nodes.map((node) => settled(node, facts) ?? node)
  return nodes.some((node, i) => node !== graph.nodes[i]) ? { ...graph, nodes } : graph
}

function settled(node: Node, facts: Facts): Node | undefined {
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
  // What hangs over the padding counts for no mean, but padding does if the node says so.
  const counts = node.opType === 'AveragePool' && attributes.int('count_include_pad', 0) !== 0
  if (axes.some(({ overhang, end, size }) => (counts && overhang > 0) || end >= size)) return undefined
  const settledPads = [...pads.slice(0, kernel.length), ...axes.map(({ end }) => end)]
  const changed = new Map(node.attributes)
  changed.delete('ceil_mode')
  changed.set('pads', { type: 'ints', value: settledPads.map(BigInt) })
  return { ...node, attributes: changed }
}
