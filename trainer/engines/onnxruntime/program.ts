import { differentiate } from '../../../converters/onnx/gradient/differentiate.ts'
import { resolve } from '../../../converters/onnx/gradient/resolve.ts'
import { type Graph, modelOf, type ValueInfo } from '../../../converters/onnx/graph.ts'
import { prune } from '../../../converters/onnx/prune.ts'
import { readsOf } from '../../../converters/onnx/reads.ts'
import { type LocalSession, openSession } from '../../../converters/onnx/runtime/open.ts'
import type { Feeds, Provider } from '../../../converters/onnx/runtime/session.ts'
import type { Tensor } from '../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../manifests/error.ts'
import { batchNormalisation } from './batch-norm.ts'
import type { WeightTable } from './weights.ts'

export interface ProgramRequest {
  /** Values that are wanted. */
  readonly outputs: readonly string[]
  /** The value whose sum is differentiated, and with respect to what: feeds, inner values, weights. */
  readonly of?: string
  readonly withRespectTo: readonly string[]
}

/**
 * A graph with its gradients, ready to run on one shape of batch. Weights are inputs: the session reads them where
 * they lie, and stays good when they change.
 */
export class Program {
  readonly #session: LocalSession
  readonly #weights: readonly string[]
  readonly #fed: readonly string[]
  readonly #table: WeightTable

  private constructor(session: LocalSession, table: WeightTable) {
    this.#session = session
    this.#table = table
    const inputs = session.inputs.map(({ name }) => name)
    this.#weights = inputs.filter((name) => table.has(name))
    this.#fed = inputs.filter((name) => !table.has(name))
  }

  static async build(
    graph: Graph,
    feeds: Feeds,
    request: ProgramRequest,
    table: WeightTable,
    provider: Provider,
  ): Promise<Program> {
    const { of, withRespectTo } = request
    const open = withWeightsAsInputs(withFixedSizes(graph, feeds), table)
    const wanted = [...new Set([...request.outputs, ...(of === undefined ? [] : [of])])]
    const sized = prune({ ...open, outputs: wanted.map((name) => outputOf(open, name)) })
    const { model, facts } = await resolve(modelOf(withoutIdleInputs(sized)))
    const differentiated =
      of === undefined
        ? model
        : await differentiate(model, { of, withRespectTo, facts, provider, overrides: [batchNormalisation] })
    const session = await openSession(
      { ...differentiated, graph: withoutIdleInputs(differentiated.graph) },
      { provider },
    )
    return new Program(session, table)
  }

  async run(feeds: Feeds): Promise<Record<string, Tensor>> {
    const given: Record<string, Tensor> = {}
    for (const name of this.#weights) given[name] = this.#table.get(name)
    for (const name of this.#fed) {
      const tensor = feeds[name]
      if (!tensor) throw new ZooError('internal', `the graph needs ${name}, which is not fed`)
      given[name] = tensor
    }
    return await this.#session.run(given)
  }

  async release(): Promise<void> {
    await this.#session.release()
  }
}

/** What of the weights the loss depends on: the others have no gradient. */
export function dependencies(graph: Graph, of: string): ReadonlySet<string> {
  const found = new Set([of])
  for (const node of graph.nodes.toReversed())
    if (node.outputs.some((output) => found.has(output))) for (const name of readsOf(node)) found.add(name)
  return found
}

function withFixedSizes(graph: Graph, feeds: Feeds): Graph {
  const inputs = graph.inputs.map((input) => ({ ...input, dims: feeds[input.name]?.dims ?? input.dims }))
  return { ...graph, inputs, valueInfo: new Map() }
}

function withWeightsAsInputs(graph: Graph, table: WeightTable): Graph {
  const initializers = new Map(graph.initializers)
  const inputs = [...graph.inputs]
  for (const [name, { dtype, dims }] of graph.initializers)
    if (table.has(name)) {
      initializers.delete(name)
      inputs.push({ name, dtype, dims })
    }
  return { ...graph, inputs, initializers }
}

function withoutIdleInputs(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap(readsOf))
  return { ...graph, inputs: graph.inputs.filter(({ name }) => read.has(name)) }
}

const outputOf = (graph: Graph, name: string): ValueInfo => ({
  name,
  dtype: graph.outputs.find((output) => output.name === name)?.dtype ?? 'float32',
  dims: null,
})
