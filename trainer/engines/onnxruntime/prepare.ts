import { differentiate } from '../../../converters/onnx/gradient/differentiate.ts'
import { resolve } from '../../../converters/onnx/gradient/resolve.ts'
import { type Graph, type Model, modelOf, type ValueInfo } from '../../../converters/onnx/graph.ts'
import { prune } from '../../../converters/onnx/prune.ts'
import { readsOf } from '../../../converters/onnx/reads.ts'
import type { Feeds, Provider } from '../../../converters/onnx/runtime/session.ts'
import { detachRunningStatistics, foldRunningStatistics, withComputedStatistics } from './batch-norm.ts'
import { withoutIdleInputs } from './hoist.ts'

export interface ProgramRequest {
  /** Values that are wanted. */
  readonly outputs: readonly string[]
  /** The value whose sum is differentiated, and with respect to what: feeds, inner values, weights. */
  readonly of?: string
  readonly withRespectTo: readonly string[]
  /** Outputs that nobody keeps: the next run may use their memory again. */
  readonly passing?: readonly string[]
}

/**
 * The graph with its gradients for feeds of these shapes, and nothing that the request doesn't need. Weights are
 * inputs; batch norm by running statistics is folded into convolutions, unless one of its values is asked for.
 *
 * @throws ZooError as `differentiate` does
 */
export async function prepare(
  graph: Graph,
  feeds: Feeds,
  request: ProgramRequest,
  isWeight: (name: string) => boolean,
  provider: Provider = 'cpu',
): Promise<Model> {
  const { of, withRespectTo } = request
  const wanted = outputsOf(graph, request)
  const inner = withRespectTo.filter((name) => !graph.initializers.has(name) && !(name in feeds))
  const marked = { ...graph, outputs: [...wanted, ...inner.map((name) => outputOf(graph, name))] }
  const folded = detachRunningStatistics(foldRunningStatistics(marked))
  const sized = withFixedSizes(withWeightsAsInputs(prune({ ...folded, outputs: wanted }), isWeight), feeds)
  const { model, facts } = await resolve(modelOf(withoutIdleInputs(sized)))
  const differentiated =
    of === undefined ? model : await differentiate(model, { of, withRespectTo, facts, provider })
  const fitted =
    provider === 'cpu'
      ? differentiated.graph
      : withComputedStatistics(differentiated.graph, (value) => facts.sizes(value).length)
  return { ...differentiated, graph: withoutIdleInputs(fitted) }
}

/** What of a graph a request needs. */
export const relevant = (graph: Graph, request: ProgramRequest): Graph =>
  withoutIdleInputs(prune({ ...graph, outputs: outputsOf(graph, request) }))

const outputsOf = (graph: Graph, { outputs, of }: ProgramRequest): ValueInfo[] =>
  [...new Set([...outputs, ...(of === undefined ? [] : [of])])].map((name) => outputOf(graph, name))

/** Everything that a value of the graph is computed from. */
export function ancestorsOf(graph: Graph, value: string): ReadonlySet<string> {
  const found = new Set([value])
  for (const node of graph.nodes.toReversed())
    if (node.outputs.some((output) => found.has(output))) for (const name of readsOf(node)) found.add(name)
  return found
}

function withFixedSizes(graph: Graph, feeds: Feeds): Graph {
  const inputs = graph.inputs.map((input) => ({ ...input, dims: feeds[input.name]?.dims ?? input.dims }))
  return { ...graph, inputs, valueInfo: new Map() }
}

function withWeightsAsInputs(graph: Graph, isWeight: (name: string) => boolean): Graph {
  const weights = [...graph.initializers].filter(([name]) => isWeight(name))
  return {
    ...graph,
    inputs: [...graph.inputs, ...weights.map(([name, { dtype, dims }]) => ({ name, dtype, dims }))],
    initializers: new Map([...graph.initializers].filter(([name]) => !isWeight(name))),
  }
}

const outputOf = (graph: Graph, name: string): ValueInfo => ({
  name,
  dtype: graph.outputs.find((output) => output.name === name)?.dtype ?? 'float32',
  dims: null,
})
