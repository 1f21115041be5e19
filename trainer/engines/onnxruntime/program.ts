import type { Graph, Model } from '../../../converters/onnx/graph.ts'
import { type LocalSession, openSession } from '../../../converters/onnx/runtime/open.ts'
import type { Feeds, SessionOptions } from '../../../converters/onnx/runtime/session.ts'
import type { Tensor } from '../../../converters/onnx/tensor.ts'
import { hoist } from './hoist.ts'
import { type Kernels, openKernels } from './kernels.ts'
import { type ProgramRequest, prepare } from './prepare.ts'
import type { Runner, WeightSource } from './runner.ts'

/**
 * A graph with its gradients, ready to run on one shape of batch. Weights are inputs, so it stays good when they
 * change, and serves any set of weights of the same shapes.
 */
export class Program {
  readonly #derivation: Derivation
  readonly #kernels: Kernels
  readonly #passing: readonly string[]

  private constructor(derivation: Derivation, kernels: Kernels, passing: readonly string[]) {
    this.#derivation = derivation
    this.#kernels = kernels
    this.#passing = passing
  }

  /** @throws ZooError `unsupported-model` for a graph that can't be differentiated or run */
  static async build(
    graph: Graph,
    feeds: Feeds,
    request: ProgramRequest,
    weights: WeightSource,
    options: SessionOptions,
  ): Promise<Program> {
    const isWeight = (name: string): boolean => weights.has(name)
    const model = await prepare(graph, feeds, request, isWeight, options.provider)
    const { derivation, rest } = hoist(model.graph, isWeight)
    const derive = await Derivation.open({ ...model, graph: derivation })
    const values = await derive.run(weights)
    for (const { name } of rest.inputs) if (isWeight(name)) values[name] = weights.get(name)
    const inputs = rest.inputs.map((input) => ({ ...input, dims: values[input.name]?.dims ?? input.dims }))
    const sized = { ...model, graph: { ...rest, inputs } }
    const kernels = await openKernels(sized, values, feeds, options)
    return new Program(derive, kernels, request.passing ?? [])
  }

  /**
   * The program at work on these weights. When they have changed, what is computed from weights alone is computed anew
   * and put in the order in which kernels read it.
   */
  bind(weights: WeightSource): Runner {
    const placed: Record<string, Tensor> = {}
    const memory: Record<string, Tensor> = {}
    let version = Number.NaN
    const run = async (feeds: Feeds): Promise<Record<string, Tensor>> => {
      if (version !== weights.version) {
        const derived = await this.#derivation.run(weights)
        this.#kernels.place((name) => derived[name] ?? weights.get(name), placed)
        version = weights.version
      }
      const results = await this.#kernels.run({ ...feeds, ...placed }, memory)
      for (const name of this.#passing) memory[name] ??= results[name]!
      return results
    }
    return { run, release: () => this.release() }
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

  async run(weights: WeightSource): Promise<Record<string, Tensor>> {
    if (!this.#session) return {}
    return await this.#session.run(
      Object.fromEntries(this.#session.inputs.map(({ name }) => [name, weights.get(name)])),
    )
  }

  async release(): Promise<void> {
    await this.#session?.release()
  }
}
