import type { Graph, Model } from '../../../converters/onnx/graph.ts'
import { type LocalSession, openSession } from '../../../converters/onnx/runtime/open.ts'
import type { Feeds, Provider } from '../../../converters/onnx/runtime/session.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../manifests/error.ts'
import { hoist } from './hoist.ts'
import { optimised, type Placement } from './layout.ts'
import { type ProgramRequest, prepare } from './prepare.ts'
import { agree, trialValues } from './trial.ts'
import type { WeightTable } from './weights.ts'

type Tensors = Readonly<Record<string, Tensor>>

/**
 * A graph with its gradients, ready to run on one shape of batch. Weights are inputs, so it stays good when they
 * change: then what is computed from weights alone is computed anew, and put in the order in which kernels read it.
 */
export class Program {
  readonly #table: WeightTable
  readonly #derivation: LocalSession
  readonly #kernels: Kernels
  #version = Number.NaN

  private constructor(table: WeightTable, derivation: LocalSession, kernels: Kernels) {
    this.#table = table
    this.#derivation = derivation
    this.#kernels = kernels
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
    const derive = await openSession({ ...model, graph: derivation }, { threads: 1 })
    const values = { ...(await derive.run(weightsFor(derive, table))) }
    for (const { name } of rest.inputs) if (isWeight(name)) values[name] = table.get(name)
    const inputs = rest.inputs.map((input) => ({ ...input, dims: values[input.name]?.dims ?? input.dims }))
    const sized = { ...model, graph: { ...rest, inputs } }
    return new Program(table, derive, await openKernels(sized, values, feeds, provider))
  }

  /** Computes the outputs; those that `into` names are written to the memory that it gives. */
  async run(feeds: Feeds, into: Feeds = {}): Promise<Record<string, Tensor>> {
    if (this.#version !== this.#table.version) {
      const derived = await this.#derivation.run(weightsFor(this.#derivation, this.#table))
      this.#kernels.place((name) => derived[name] ?? this.#table.get(name))
      this.#version = this.#table.version
    }
    return await this.#kernels.run(feeds, into)
  }

  async release(): Promise<void> {
    await this.#derivation.release()
    await this.#kernels.release()
  }
}

const weightsFor = ({ inputs }: LocalSession, table: WeightTable): Tensors =>
  Object.fromEntries(inputs.map(({ name }) => [name, table.get(name)]))

/** The session in its fastest form that computes what the plain one does, for values that rarely change. */
async function openKernels(
  model: Model,
  values: Tensors,
  feeds: Feeds,
  provider: Provider,
): Promise<Kernels> {
  const asTheyAre = Object.entries(values).map(([name, { dims }]) => ({ input: name, dims, source: name }))
  const openPlain = async () =>
    new Kernels(await openSession(model, { provider, keepMemory: true }), asTheyAre)
  if (provider !== 'cpu') return await openPlain()
  const dims = new Map(Object.entries(values).map(([name, value]) => [name, value.dims]))
  const fast = await optimised(model, dims)
  if (!fast) return await openPlain()
  const session = await openSession(fast.model, { optimisation: 'disabled', keepMemory: true })
  const kernels = new Kernels(session, fast.placements)
  const plain = new Kernels(await openSession(model, { optimisation: 'basic' }), asTheyAre)
  const trial = trialValues(values)
  for (const each of [kernels, plain]) each.place((name) => trial[name]!)
  const same = agree(await kernels.run(feeds), await plain.run(feeds))
  await plain.release()
  if (same) return kernels
  await kernels.release()
  return await openPlain()
}

/** A session, and the memory from which it reads what rarely changes. */
class Kernels {
  readonly #session: LocalSession
  readonly #placements: readonly Placement[]
  readonly #fed: readonly string[]
  readonly #placed: Record<string, Tensor> = {}

  constructor(session: LocalSession, placements: readonly Placement[]) {
    this.#session = session
    this.#placements = placements
    const placed = new Set(placements.map(({ input }) => input))
    this.#fed = session.inputs.map(({ name }) => name).filter((name) => !placed.has(name))
  }

  place(valueOf: (name: string) => Tensor): void {
    for (const { input, dims, source, order } of this.#placements) {
      const value = valueOf(source)
      if (order === undefined) this.#placed[input] = value
      else {
        this.#placed[input] ??= Tensor.float32(dims, new Float32Array(order.length))
        arrange(value.floats, order, this.#placed[input].floats)
      }
    }
  }

  async run(feeds: Feeds, into: Feeds = {}): Promise<Record<string, Tensor>> {
    const given: Record<string, Tensor> = { ...this.#placed }
    for (const name of this.#fed) {
      const tensor = feeds[name]
      if (!tensor) throw new ZooError('internal', `the graph needs ${name}, which is not fed`)
      given[name] = tensor
    }
    return await this.#session.run(given, into)
  }

  async release(): Promise<void> {
    await this.#session.release()
  }
}

function arrange(from: Float32Array, order: Int32Array, to: Float32Array): void {
  for (let i = 0; i < order.length; i++) to[i] = order[i]! < 0 ? 0 : from[order[i]!]!
}
