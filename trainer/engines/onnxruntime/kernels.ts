import type { Model } from '../../../converters/onnx/graph.ts'
import { type LocalSession, openSession } from '../../../converters/onnx/runtime/open.ts'
import type { Feeds, Provider } from '../../../converters/onnx/runtime/session.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../manifests/error.ts'
import { optimised, type Placement } from './layout.ts'
import { agree, trialValues } from './trial.ts'

type Tensors = Readonly<Record<string, Tensor>>

/** The session in its fastest form that computes what the plain one does, for values that rarely change. */
export async function openKernels(
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
export class Kernels {
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
