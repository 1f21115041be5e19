import { ZooError } from '../../../manifests/error.ts'
import { Attributes, BUILT_OPSET, describe, type Graph, type Node } from '../graph.ts'
import { mapSubgraphs } from '../subgraphs.ts'
import type { DataType, Tensor } from '../tensor.ts'
import { outputType } from '../types.ts'
import { ATTRIBUTES_TO_INPUTS } from './attributes-to-inputs.ts'
import { BROADCASTING } from './broadcasting.ts'
import { CLASSICAL } from './classical.ts'
import { NORMALISATION } from './normalisation.ts'
import { ranksOf } from './ranks.ts'
import { RESIZE } from './resize.ts'
import { type Known, NodeRewriter } from './rewriter.ts'
import { changed, type Step, step } from './step.ts'

/** The oldest that onnxruntime still runs; it promises 7. */
const OLDEST = 6

const STEPS: readonly Step[] = [
  ...BROADCASTING,
  ...ATTRIBUTES_TO_INPUTS,
  ...RESIZE,
  ...NORMALISATION,
  step('Scan', 9, (node) => {
    throw new ZooError('unsupported-model', `${describe(node)} is a Scan over batches, of opset 8`)
  }),
  step('Scatter', 11, (node) => changed(node, { opType: 'ScatterElements' })),
].sort((a, b) => a.before - b.before)

const stepsFor = (opType: string, opset: number): Step | undefined =>
  STEPS.find(({ op, before }) => op === opType && before > opset)

/**
 * Rewrites the nodes of a graph from the forms of an older opset into those of opset 18, one small step per operator
 * and change, so that whoever reads the graph sees one form of each operator. Opsets above 18 changed no operator that
 * has a form at 18, only added types, defaults and new operators; the one exception, GroupNormalization, is written
 * out where it has its earlier form. Such graphs keep their opset. Operators of `ai.onnx.ml` that stand for dense layers
 * become such.
 *
 * @param fresh gives names that no value of the model has
 * @throws ZooError `unsupported-model` for opsets below 6 and for the few forms that have no later equivalent
 */
export function upgradeNodes(graph: Graph, opset: number, fresh: (hint: string) => string): Node[] {
  if (opset < OLDEST)
    throw new ZooError(
      'unsupported-model',
      `the model is of opset ${opset}; the oldest supported is ${OLDEST}`,
      {
        hint: "convert it with ONNX's version converter, or export it again",
      },
    )
  return new Upgrade(opset, fresh).nodes(graph, NOTHING)
}

/** What every graph has from here on. */
export const upgradedOpset = (opset: number): number => Math.max(opset, BUILT_OPSET)

class Upgrade {
  readonly #opset: number
  readonly #fresh: (hint: string) => string

  constructor(opset: number, fresh: (hint: string) => string) {
    this.#opset = opset
    this.#fresh = fresh
  }

  nodes(graph: Graph, outer: Known): Node[] {
    const known = knownOf(graph, outer)
    const inside = (subgraph: Graph): Graph => ({ ...subgraph, nodes: this.nodes(subgraph, known) })
    return graph.nodes.flatMap((node) => this.#node(mapSubgraphs(node, inside), known))
  }

  /** Takes the steps that apply, earliest first; each sees what the one before it made of the node. */
  #node(node: Node, known: Known): Node[] {
    const rewriter = new NodeRewriter(node, this.#fresh, known)
    if (node.domain === 'ai.onnx.ml') {
      const lowered = CLASSICAL[node.opType]?.(node, new Attributes(node), rewriter)
      return lowered ? [...rewriter.nodes, ...lowered] : [node]
    }
    if (node.domain !== '') return [node]
    let current = node
    let opset = this.#opset
    for (let next = stepsFor(current.opType, opset); next; next = stepsFor(current.opType, opset)) {
      current = next.apply(current, new Attributes(current), rewriter)
      opset = next.before
    }
    return [...rewriter.nodes, current]
  }
}

const NOTHING: Known = { rank: () => undefined, dtype: () => undefined, constant: () => undefined }

/** What a graph's declarations tell of its values; for those that it captures, what the graph around it knows. */
function knownOf(graph: Graph, outer: Known): Known {
  const constants = constantsOf(graph)
  const rank = ranksOf(graph, constants)
  const types = new Map<string, DataType>()
  for (const { name, dtype } of [...graph.valueInfo.values(), ...graph.inputs])
    if (dtype !== 'undefined') types.set(name, dtype)
  for (const [name, { dtype }] of constants) types.set(name, dtype)
  const dtype = (name: string): DataType | undefined => types.get(name) ?? outer.dtype(name)
  for (const node of graph.nodes)
    for (const [index, output] of node.outputs.entries()) {
      if (types.has(output)) continue
      const type = outputType(node, index, dtype)
      if (type) types.set(output, type)
    }
  return {
    rank: (name) => rank(name) ?? outer.rank(name),
    dtype,
    constant: (name) => constants.get(name) ?? outer.constant(name),
  }
}

/** Initialisers, and what Constant nodes hold. */
function constantsOf(graph: Graph): ReadonlyMap<string, Tensor> {
  const constants = new Map(graph.initializers)
  for (const node of graph.nodes) {
    const value = node.opType === 'Constant' ? node.attributes.get('value') : undefined
    if (value?.type === 'tensor') constants.set(node.outputs[0]!, value.value)
  }
  return constants
}
