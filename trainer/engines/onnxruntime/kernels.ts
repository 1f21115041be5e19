import type { Model } from '../../../converters/onnx/graph.ts'
import { type LocalSession, openSession } from '../../../converters/onnx/runtime/open.ts'
import type { Feeds, SessionOptions } from '../../../converters/onnx/runtime/session.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../manifests/error.ts'
import { optimised, type Placement } from './layout.ts'
import { faster } from './runner.ts'
import { agree, trialValues } from './trial.ts'

type Tensors = Readonly<Record<string, Tensor>>

/** A session that reads some of its inputs in an order of its own. */
export class Kernels {
  readonly #session: LocalSession
  readonly #placements: readonly Placement[]

  constructor(session: LocalSession, placements: readonly Placement[]) {
    this.#session = session
    this.#placements = placements
  }

  /** Puts values into `placed` as `run` wants them, in the memory that is there. */
  place(current: (name: string) => Tensor, placed: Record<string, Tensor>): void {
    for (const { input, dims, source, order } of this.#placements) {
      const value = current(source)
      if (order === undefined) placed[input] = value
      else {
        placed[input] ??= Tensor.float32(dims, new Float32Array(order.length))
        arrange(value.floats, order, placed[input].floats)
      }
    }
  }

  /** Computes from placed values and feeds, of which it takes what it needs. */
  async run(values: Tensors, into: Tensors = {}): Promise<Record<string, Tensor>> {
    const given: Record<string, Tensor> = {}
    for (const { name } of this.#session.inputs) {
      const tensor = values[name]
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

/**
 * The session in its fastest form that computes what the plain one does. `values` are examples of the inputs that
 * change rarely, `feeds` of the others.
 */
export async function openKernels(
  model: Model,
  values: Tensors,
  feeds: Feeds,
  options: SessionOptions,
): Promise<Kernels> {
  const { provider = 'cpu', threads } = options
  const trial = trialValues(values)
  const run = (kernels: Kernels): Promise<Tensors> => {
    const placed: Record<string, Tensor> = {}
    kernels.place((name) => trial[name]!, placed)
    return kernels.run({ ...feeds, ...placed })
  }
  const asTheyAre = Object.entries(values).map(([name, { dims }]) => ({ input: name, dims, source: name }))
  const openPlain = async (more: SessionOptions) =>
    new Kernels(await openSession(model, { ...options, ...more }), asTheyAre)
  if (provider !== 'cpu') return await openPlain({})
  const fast = await optimised(model, new Map(Object.entries(values).map(([name, { dims }]) => [name, dims])))
  if (!fast) return await openPlain({})
  const openFast = async (more: SessionOptions) =>
    new Kernels(
      await openSession(fast.model, { ...options, ...more, optimisation: 'disabled' }),
      fast.placements,
    )
  // Threads have to be woken for each operator, and small operators are done before that.
  const kernels = await openFast({ threads: threads ?? 1 })
  const plain = await openPlain({ optimisation: 'basic' })
  const same = agree(await run(kernels), await run(plain))
  await plain.release()
  if (!same) {
    await kernels.release()
    return await openPlain({})
  }
  return threads === undefined ? await faster(kernels, await openFast({}), run) : kernels
}
