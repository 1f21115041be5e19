import { makeNode } from '../builder.ts'
import { Attributes, type Graph, type Model, type Node } from '../graph.ts'
import { prune } from '../prune.ts'
import { settleCeilMode } from './ceil-mode.ts'
import type { Facts } from './facts.ts'
import { type ProbeOptions, probe } from './probe.ts'
import { lowerSequences } from './sequences.ts'

export interface Resolved {
  readonly model: Model
  readonly facts: Facts
}

/**
 * Replaces what shapes decide by what it comes to: shape arithmetic by constants, `If` by the branch that is taken,
 * sequences by their elements, ceil_mode where it is ambiguous by padding.
 * With a batch size given, the model's batch axis is fixed to it first.
 *
 * @throws ZooError `unsupported-model`; see `probe`
 */
export async function resolve(model: Model, options: ProbeOptions = {}): Promise<Resolved> {
  const sized = options.batch === undefined ? model : withBatch(model, options.batch)
  const facts = await probe(sized, options)
  const simpler = lowerSequences(inlineBranches(sized.graph, facts), facts)
  if (simpler !== sized.graph) return resolve({ ...sized, graph: simpler }, options)
  const settled = settleCeilMode(sized.graph, facts)
  if (settled !== sized.graph) return resolve({ ...sized, graph: settled }, options)
  return { model: { ...sized, graph: foldConstants(sized.graph, facts) }, facts }
}

/** The model with the batch axis of its inputs and outputs fixed, where it was open. */
export function withBatch(model: Model, batch: number): Model {
  const { graph } = model
  const inputs = graph.inputs.map((input) =>
    input.dims === null || graph.initializers.has(input.name)
      ? input
      : {
          ...input,
          dims: input.dims.map((dim, axis) => (axis === 0 && typeof dim !== 'number' ? batch : dim)),
        },
  )
  const outputs = graph.outputs.map((output) => ({ ...output, dims: null }))
  return { ...model, graph: { ...graph, inputs, outputs, valueInfo: new Map() } }
}

/** Larger constants stay computed: onnxruntime folds them when it loads, and the file stays small. */
const LARGEST = 1 << 16

function foldConstants(graph: Graph, facts: Facts): Graph {
  const initializers = new Map(graph.initializers)
  const kept: Node[] = []
  for (const node of graph.nodes) {
    const outputs = node.outputs.filter((output) => output !== '')
    const constants = outputs.map((output) => facts.constant(output))
    if (constants.every((tensor) => tensor !== undefined && tensor.bytes.byteLength <= LARGEST))
      for (const [i, output] of outputs.entries()) initializers.set(output, constants[i]!)
    else kept.push(node)
  }
  return prune({ ...graph, nodes: kept, initializers })
}

/** Puts the nodes of the branch that is taken in the place of each `If` whose condition is constant. */
function inlineBranches(graph: Graph, facts: Facts): Graph {
  const initializers = new Map(graph.initializers)
  let changed = false
  const nodes = graph.nodes.flatMap((node) => {
    const condition = node.opType === 'If' && node.domain === '' ? facts.constant(node.inputs[0]!) : undefined
    if (condition === undefined) return [node]
    changed = true
    const branch = new Attributes(node).graph(condition.numbers[0] ? 'then_branch' : 'else_branch')!
    for (const [name, tensor] of branch.initializers) initializers.set(name, tensor)
    const results = node.outputs.map((output, i) => makeNode('Identity', [branch.outputs[i]!.name], [output]))
    return [...branch.nodes, ...results]
  })
  return changed ? { ...graph, nodes, initializers } : graph
}
