import { encodeModel } from '../../../converters/onnx/codec.ts'
import { modelOf } from '../../../converters/onnx/graph.ts'
import { tensorsFromWire, tensorsToWire } from '../../../converters/onnx/runtime/protocol.ts'
import type { Feeds } from '../../../converters/onnx/runtime/session.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import type { TrainingForm } from '../../resnet/statistics.ts'
import type {
  AccumulateRequest,
  Answer,
  Engine,
  GradientRequest,
  OptimiserStep,
  SharingEngine,
  Values,
} from '../engine.ts'
import type { Backend, EngineOptions } from '../open.ts'
import { ownGpu } from './gpu.ts'
import type { Message } from './messages.ts'
import { FurtherProcess } from './process.ts'

/**
 * Several processes that share every batch, each with an engine of its own: this one and further ones.
 * Gradients are averaged, and batch norm is that of many devices: each process normalises its share by itself, and
 * running statistics are the mean of theirs. The first process holds optimiser and averages; the others get its weights.
 */
export class ParallelEngine implements Engine {
  readonly backend: string
  readonly #first: SharingEngine
  readonly #others: readonly FurtherProcess[]
  readonly #forms = new Map<TrainingForm['graph'], number>()
  /** Whether the others have gradients or statistics that the first hasn't, or lack weights that it has. */
  #gathered = true
  #spread = true
  /** Rows of each process's share of the last batch trained on. */
  #rows: readonly number[] = []

  private constructor(first: SharingEngine, others: readonly FurtherProcess[]) {
    this.#first = first
    this.#others = others
    this.backend = first.backend
  }

  /** @param options what the first engine was opened with; its `processes` count this one too */
  static async open(
    first: SharingEngine,
    backend: Exclude<Backend, 'auto'>,
    { weights: specs, ...options }: EngineOptions,
  ): Promise<ParallelEngine> {
    const onGpu = backend === 'cuda' || options.provider === 'cuda'
    const others = Array.from(
      { length: options.processes! - 1 },
      (_, i) => new FurtherProcess(onGpu ? ownGpu(i + 1) : {}),
    )
    const weights = specs.map(({ name, role, value }) => ({
      name,
      role,
      value: tensorsToWire({ value }).value!,
    }))
    const message: Message = { kind: 'open', backend, options, weights }
    const engine = new ParallelEngine(first, others)
    try {
      await Promise.all(others.map((other) => other.ask(message)))
    } catch (error) {
      engine.dispose()
      throw error
    }
    return engine
  }

  async forward(form: TrainingForm, feeds: Feeds, outputs?: readonly string[]): Promise<Values> {
    await this.#settle()
    const wanted = outputs ?? form.graph.outputs.map(({ name }) => name)
    const shares = this.#shares(form, feeds, wanted)
    if (!shares) return this.#first.forward(form, feeds, outputs)
    const asked = await this.#tell(form, shares, (place) => ({ kind: 'forward', outputs, ...place }))
    const own = await this.#first.forward(form, shares[0]!, outputs)
    return joined([own, ...(await asked()).map(({ outputs }) => outputs!)], Object.keys(own))
  }

  async gradient(form: TrainingForm, feeds: Feeds, request: GradientRequest): Promise<Answer> {
    await this.#settle()
    const shares = this.#shares(form, feeds, [request.of])
    if (!shares) return this.#first.gradient(form, feeds, request)
    const asked = await this.#tell(form, shares, (place) => ({ kind: 'gradient', request, ...place }))
    return joinedAnswers(form, await this.#first.gradient(form, shares[0]!, request), await asked())
  }

  async accumulate(form: TrainingForm, feeds: Feeds, request: AccumulateRequest): Promise<Answer> {
    const shares = this.#shares(form, feeds, [request.of])
    if (!shares) {
      await this.#gather()
      // It moves running statistics that the others have too.
      this.#spread = false
      return this.#first.accumulate(form, feeds, request)
    }
    await this.#distribute()
    const rows = shares.map((share) => Math.max(...Object.values(share).map(({ dims }) => dims[0] ?? 0)))
    this.#rows = rows
    const all = rows.reduce((sum, count) => sum + count, 0)
    const weighted = (i: number) => ({ ...request, weight: (request.weight * rows[i]!) / all })
    this.#gathered = false
    const asked = await this.#tell(form, shares, (place, i) => ({
      kind: 'accumulate',
      request: weighted(i),
      ...place,
    }))
    return joinedAnswers(form, await this.#first.accumulate(form, shares[0]!, weighted(0)), await asked())
  }

  async update(step: OptimiserStep): Promise<void> {
    await this.#gather()
    await this.#first.update(step)
    this.#spread = false
  }

  async perturb(radius: number): Promise<void> {
    await this.#gather()
    await this.#first.perturb(radius)
    this.#spread = false
  }

  async restore(): Promise<void> {
    await this.#gather()
    await this.#first.restore()
    this.#spread = false
  }

  async state(): Promise<Map<string, Tensor>> {
    await this.#gather()
    return this.#first.state()
  }

  async load(state: ReadonlyMap<string, Tensor>): Promise<void> {
    await this.#gather()
    await this.#first.load(state)
    this.#spread = false
  }

  async weights(averaged?: boolean): Promise<Map<string, Tensor>> {
    await this.#gather()
    return this.#first.weights(averaged)
  }

  dispose(): void {
    this.#first.dispose()
    for (const other of this.#others) other.end()
  }

  /** Everyone has the same weights and statistics. */
  async #settle(): Promise<void> {
    await this.#gather()
    await this.#distribute()
  }

  /** Adds the others' gradients to the first's, and makes its statistics the mean of all. */
  async #gather(): Promise<void> {
    if (this.#gathered) return
    const parts = await Promise.all(this.#others.map((other) => other.ask({ kind: 'collect' })))
    for (const { gradient } of parts)
      await this.#first.addGradient(new Map(Object.entries(tensorsFromWire(gradient!))))
    const statistics = [
      await this.#first.statistics(),
      ...parts.map(({ statistics }) => new Map(Object.entries(tensorsFromWire(statistics!)))),
    ]
    await this.#first.setWeights(meanOf(statistics, this.#rows))
    this.#gathered = true
    this.#spread = false
  }

  async #distribute(): Promise<void> {
    if (this.#spread) return
    const weights = tensorsToWire(Object.fromEntries(await this.#first.weights()))
    await Promise.all(this.#others.map((other) => other.ask({ kind: 'weights', weights })))
    this.#spread = true
  }

  /**
   * The feeds of each process: even shares of the rows of feeds that go by example, and the others whole. Undefined where
   * the batch cannot be shared: it is too small, or the graph's results don't go by example.
   */
  #shares(form: TrainingForm, feeds: Feeds, results: readonly string[]): Feeds[] | undefined {
    const count = this.#others.length + 1
    const { inputs } = form.graph
    const byExample = new Set(outputsByExample(form))
    const symbol = batchOf(form)
    if (typeof symbol !== 'string' || !results.every((name) => byExample.has(name))) return undefined
    const shared = new Set(inputs.filter(({ dims }) => dims?.[0] === symbol).map(({ name }) => name))
    const rows = feeds.image!.dims[0]!
    if (rows < count) return undefined
    return Array.from({ length: count }, (_, i) => {
      const [begin, end] = [Math.floor((rows * i) / count), Math.floor((rows * (i + 1)) / count)]
      return Object.fromEntries(
        Object.entries(feeds).map(([name, tensor]) => [
          name,
          shared.has(name) ? rowsOf(tensor, begin, end) : tensor,
        ]),
      )
    })
  }

  /** Sends the others their shares, and gives what waits for their results. */
  async #tell(
    form: TrainingForm,
    shares: readonly Feeds[],
    messageOf: (place: { form: number; feeds: ReturnType<typeof tensorsToWire> }, i: number) => Message,
  ): Promise<() => Promise<Record<string, Values>[]>> {
    const number = await this.#number(form)
    const told = await Promise.all(
      this.#others.map((other, i) =>
        other.tell(messageOf({ form: number, feeds: tensorsToWire(shares[i + 1]!) }, i + 1)),
      ),
    )
    return async () => {
      const results = await Promise.all(told.map(({ results }) => results))
      return results.map((parts) =>
        Object.fromEntries(Object.entries(parts).map(([part, tensors]) => [part, tensorsFromWire(tensors)])),
      )
    }
  }

  async #number(form: TrainingForm): Promise<number> {
    const known = this.#forms.get(form.graph)
    if (known !== undefined) return known
    const number = this.#forms.size
    this.#forms.set(form.graph, number)
    const model = encodeModel(modelOf(form.graph))
    const message: Message = { kind: 'form', form: number, model, statistics: form.statistics }
    await Promise.all(this.#others.map((other) => other.ask(message)))
    return number
  }
}

/** Rows of a tensor, in memory of their own: what is sent is the whole memory behind a view. */
function rowsOf(tensor: Tensor, begin: number, end: number): Tensor {
  const [rows, ...rest] = tensor.dims as [number, ...number[]]
  const size = tensor.size / rows
  return Tensor.float32([end - begin, ...rest], tensor.floats.slice(begin * size, end * size))
}

/** The symbol of the image's batch axis. */
const batchOf = ({ graph }: TrainingForm) => graph.inputs.find(({ name }) => name === 'image')?.dims?.[0]

/** Outputs that have a row for each image. */
const outputsByExample = (form: TrainingForm): string[] =>
  form.graph.outputs.filter(({ dims }) => dims?.[0] === batchOf(form)).map(({ name }) => name)

/** Parts of a batch, row after row, for the names given; the rest is what the first process has. */
function joined(parts: readonly Values[], names: readonly string[]): Values {
  const rows = names.filter((name) => name in parts[0]!)
  return {
    ...parts[0],
    ...Object.fromEntries(rows.map((name) => [name, rowsJoined(parts.map((part) => part[name]!))])),
  }
}

function rowsJoined(parts: readonly Tensor[]): Tensor {
  const [, ...rest] = parts[0]!.dims
  const values = new Float32Array(parts.reduce((sum, { size }) => sum + size, 0))
  let at = 0
  for (const { floats } of parts) {
    values.set(floats, at)
    at += floats.length
  }
  return Tensor.float32([parts.reduce((sum, { dims }) => sum + dims[0]!, 0), ...rest], values)
}

const joinedAnswers = (
  form: TrainingForm,
  own: Answer,
  others: readonly Record<string, Values>[],
): Answer => ({
  outputs: joined([own.outputs, ...others.map(({ outputs }) => outputs!)], outputsByExample(form)),
  gradients: joined(
    [own.gradients, ...others.map(({ gradients }) => gradients!)],
    Object.keys(own.gradients),
  ),
})

/** Means weighted by each part's rows. */
function meanOf(parts: readonly ReadonlyMap<string, Tensor>[], rows: readonly number[]): Map<string, Tensor> {
  const all = rows.reduce((sum, count) => sum + count, 0)
  const mean = new Map<string, Tensor>()
  for (const [name, { dims, size }] of parts[0]!) {
    const values = new Float32Array(size)
    for (const [i, part] of parts.entries())
      for (const [k, value] of part.get(name)!.floats.entries()) values[k]! += (rows[i]! / all) * value
    mean.set(name, Tensor.float32(dims, values))
  }
  return mean
}
