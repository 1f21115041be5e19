import { GraphBuilder } from './builder.ts'
import { type Affine, affineOf, composed } from './fold/affine.ts'
import { type Linear, linearOf } from './fold/linear.ts'
import type { Graph, Node } from './graph.ts'
import { prune } from './prune.ts'
import { readsOf } from './reads.ts'
import type { Tensor } from './tensor.ts'

/**
 * Folds what follows a convolution or dense layer and only scales and shifts its channels into the layer's weights:
 * BatchNormalization in inference, and Mul, Div, Add and Sub with constants. A whole chain of them is one scale and
 * one shift per channel, computed in float64; the weights are rounded once, at the end.
 *
 * Layers are Conv, ConvTranspose and Gemm with constant float32 or float64 weights whose result nothing else reads.
 * New weights take the place and name of the old, unless another layer shares those.
 */
export function foldBatchNorm(graph: Graph): Graph {
  const readers = readersOf(graph)
  const folded: Graph = { ...graph, nodes: [...graph.nodes], initializers: new Map(graph.initializers) }
  const builder = new GraphBuilder(folded)
  const replaced = new Map<Node, Node>()
  const gone = new Set<Node>()
  for (const node of graph.nodes) {
    const layer = linearOf(node, graph.initializers)
    const chain = layer && affineChain(layer, graph, readers)
    if (!chain) continue
    for (const next of chain.nodes) gone.add(next)
    const store = (old: string | undefined, hint: string, tensor: Tensor): string => {
      if (old === undefined || readers.get(old)!.length > 1) return builder.initializer(tensor, hint)
      folded.initializers.set(old, tensor)
      return old
    }
    const { weight, bias } = layer.scaled(chain.affine)
    const renewed = layer.withWeights(
      store(layer.weight, layer.weight, weight),
      store(layer.bias, `${layer.weight}/bias`, bias),
    )
    replaced.set(node, { ...renewed, outputs: [chain.output] })
  }
  if (gone.size === 0) return graph
  folded.nodes = graph.nodes.filter((node) => !gone.has(node)).map((node) => replaced.get(node) ?? node)
  return prune(folded)
}

interface Chain {
  readonly nodes: readonly Node[]
  readonly affine: Affine
  readonly output: string
}

/** The nodes after a layer, one behind the other, that it can take in. */
function affineChain(layer: Linear, graph: Graph, readers: Readers): Chain | undefined {
  const nodes: Node[] = []
  let affine: Affine | undefined
  let output = layer.node.outputs[0]!
  for (;;) {
    const [next, ...others] = readers.get(output) ?? []
    if (next === undefined || next === 'output' || others.length > 0) break
    const step = affineOf(next, output, layer, graph.initializers)
    if (!step) break
    affine = affine ? composed(affine, step) : step
    nodes.push(next)
    output = next.outputs[0]!
  }
  return affine && { nodes, affine, output }
}

/** Who reads each value: nodes, once per read, and the graph's outputs. */
type Readers = ReadonlyMap<string, readonly (Node | 'output')[]>

function readersOf(graph: Graph): Readers {
  const readers = new Map<string, (Node | 'output')[]>()
  const read = (name: string, by: Node | 'output'): void => {
    const known = readers.get(name)
    if (known) known.push(by)
    else readers.set(name, [by])
  }
  for (const node of graph.nodes) for (const name of readsOf(node)) read(name, node)
  for (const { name } of graph.outputs) read(name, 'output')
  return readers
}
