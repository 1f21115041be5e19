import type { Graph, Model } from '../../../converters/onnx/graph.ts'
import { type LocalSession, openSession } from '../../../converters/onnx/runtime/open.ts'
import type { Feeds, Provider } from '../../../converters/onnx/runtime/session.ts'
import type { Tensor } from '../../../converters/onnx/tensor.ts'
import { hoist } from './hoist.ts'
import { type Kernels, openKernels } from './kernels.ts'
import { type ProgramRequest, prepare } from './prepare.ts'
import type { WeightTable } from './weights.ts'

/**
 * A graph with its gradients, ready to run on one shape of batch. Weights are inputs, so it stays good when they
 * change: then what is computed from weights alone is computed anew, and put in the order in which kernels read it.
 */
export class Program {
  readonly #table: WeightTable
  readonly #derivation: Derivation
  readonly #kernels: Kernels
  readonly #passing: readonly string[]
  /** Where outputs go that nobody keeps. */
  readonly #memory: Record<string, Tensor> = {}
  #version = Number.NaN

  private constructor(
    table: WeightTable,
    derivation: Derivation,
    kernels: Kernels,
    passing: readonly string[],
  ) {
    this.#table = table
    this.#derivation = derivation
    this.#kernels = kernels
    this.#passing = passing
  }

  /** @throws ZooError `unsupported-model` for a graph that can't be differentiated or run */
  static async build(
    graph: Graph,
    feeds: Feeds,
    request: ProgramRequest,
    table: WeightTable,
    provider: Provider,
  ): Promise<Program> {
    const isWeight = (name: string): boolean => table.has(name)
    const model = await prepare(graph, feeds, request, isWeight, provider)
    const { derivation, rest } = hoist(model.graph, isWeight)
    const derive = await Derivation.open({ ...model, graph: derivation })
    const values = await derive.run(table)
    for (const { name } of rest.inputs) if (isWeight(name)) values[name] = table.get(name)
    const inputs = rest.inputs.map((input) => ({ ...input, dims: values[input.name]?.dims ?? input.dims }))
    const sized = { ...model, graph: { ...rest, inputs } }
    const kernels = await openKernels(sized, values, feeds, provider)
    return new Program(table, derive, kernels, request.passing ?? [])
  }

  /** Computes the outputs and gradients, these under the names that `gradientName` gives them. */
  async run(feeds: Feeds): Promise<Record<string, Tensor>> {
    if (this.#version !== this.#table.version) {
      const derived = await this.#derivation.run(this.#table)
      this.#kernels.place((name) => derived[name] ?? this.#table.get(name))
      this.#version = this.#table.version
    }
    const results = await this.#kernels.run(feeds, this.#memory)
    for (const name of this.#passing) this.#memory[name] ??= results[name]!
    return results
  }

  async release(): Promise<void> {
    await this.#derivation.release()
    await this.#kernels.release()
  }
}

/** What is computed from weights alone. */
class Derivation {
  readonly #session: LocalSession | undefined

  private constructor(session: LocalSession | undefined) {
    this.#session = session
  }

  static async open(model: Model): Promise<Derivation> {
    // onnxruntime refuses a graph without nodes.
    const empty = model.graph.nodes.length === 0
    return new Derivation(empty ? undefined : await openSession(model, { threads: 1 }))
  }

  async run(table: WeightTable): Promise<Record<string, Tensor>> {
    if (!this.#session) return {}
    return await this.#session.run(
      Object.fromEntries(this.#session.inputs.map(({ name }) => [name, table.get(name)])),
    )
  }

  async release(): Promise<void> {
    await this.#session?.release()
  }
}
