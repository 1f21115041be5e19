import { createHash } from 'node:crypto'
import { encodeModel } from '../../../converters/onnx/codec.ts'
import { type Graph, modelOf, type Node, type ValueInfo } from '../../../converters/onnx/graph.ts'
import { readsOf } from '../../../converters/onnx/reads.ts'
import { renameValues } from '../../../converters/onnx/rename.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'

/** What a segment calls the value that comes in from the one before it, and the value that it hands on. */
export const ENTRY = 'entry'
export const EXIT = 'exit'

/** A stretch of a graph between two places that a single computed value passes. */
export interface Segment {
  /** In names of its own, so that segments that compute the same are the same. Weights are initialisers. */
  readonly graph: Graph
  /** The whole graph's name of each weight, and of each value that was asked for. */
  readonly names: ReadonlyMap<string, string>
  /** Whether a segment comes before this one, and whether one comes after. */
  readonly enters: boolean
  readonly exits: boolean
  /** The same for segments that differ in nothing but the values of their weights. */
  readonly key: string
}

/** Fewer nodes are not worth a session of their own: about a residual block. */
const FEWEST = 6

/**
 * Cuts a graph in a row of segments. Values that are `kept` lie inside a segment, never between two.
 */
export function segmentsOf(
  graph: Graph,
  isWeight: (name: string) => boolean,
  kept: ReadonlySet<string>,
): Segment[] {
  const stretches = cut(graph, kept)
  return stretches.map(({ nodes, exit }, i) => {
    const entry = stretches[i - 1]?.exit
    return segment(graph, nodes, isWeight, kept, entry, exit)
  })
}

interface Stretch {
  readonly nodes: readonly Node[]
  readonly exit: string | undefined
}

function cut(graph: Graph, kept: ReadonlySet<string>): Stretch[] {
  const lastRead = new Map<string, number>()
  for (const [i, node] of graph.nodes.entries()) for (const name of readsOf(node)) lastRead.set(name, i)
  const stretches: Stretch[] = []
  const alive = new Set<string>()
  let nodes: Node[] = []
  for (const [i, node] of graph.nodes.entries()) {
    nodes.push(node)
    for (const output of node.outputs) if ((lastRead.get(output) ?? 0) > i) alive.add(output)
    for (const name of readsOf(node)) if (lastRead.get(name) === i) alive.delete(name)
    const [exit] = alive
    if (alive.size === 1 && nodes.length >= FEWEST && !kept.has(exit!)) {
      stretches.push({ nodes, exit })
      nodes = []
    }
  }
  return [...stretches, { nodes, exit: undefined }]
}

function segment(
  graph: Graph,
  nodes: readonly Node[],
  isWeight: (name: string) => boolean,
  kept: ReadonlySet<string>,
  entry: string | undefined,
  exit: string | undefined,
): Segment {
  const reads = new Set(nodes.flatMap(readsOf))
  const computed = new Set(nodes.flatMap(({ outputs }) => outputs).filter((name) => name !== ''))
  const own = new Map<string, string>()
  if (entry !== undefined) own.set(entry, ENTRY)
  if (exit !== undefined) own.set(exit, EXIT)
  const initializers = [...reads].filter((name) => graph.initializers.has(name))
  for (const name of [...initializers, ...computed]) if (!own.has(name)) own.set(name, `value${own.size}`)
  const wanted = [...computed].filter((name) => kept.has(name) && name !== exit)
  const inputs: ValueInfo[] = graph.inputs.filter(({ name }) => reads.has(name))
  if (entry !== undefined) inputs.push({ name: entry, dtype: 'float32', dims: null })
  const part: Graph = {
    name: 'segment',
    inputs,
    outputs: [...wanted, ...(exit === undefined ? [] : [exit])].map((name) => ({
      name,
      dtype: 'float32',
      dims: null,
    })),
    nodes: nodes.map((node, i) => ({ ...node, name: `node${i}` })),
    initializers: new Map(initializers.map((name) => [name, graph.initializers.get(name)!])),
    valueInfo: new Map(),
  }
  const weights = initializers.filter(isWeight)
  return {
    graph: renameValues(part, own),
    names: new Map([...weights, ...wanted].map((name) => [own.get(name)!, name])),
    enters: entry !== undefined,
    exits: exit !== undefined,
    key: digest(renameValues(withBlankWeights(part, weights), own)),
  }
}

function withBlankWeights(graph: Graph, weights: readonly string[]): Graph {
  const initializers = new Map(graph.initializers)
  for (const name of weights) {
    const { dims, size } = initializers.get(name)!
    initializers.set(name, Tensor.float32(dims, new Float32Array(size)))
  }
  return { ...graph, initializers }
}

const digest = (graph: Graph): string =>
  createHash('sha256')
    .update(encodeModel(modelOf(graph)))
    .digest('hex')
