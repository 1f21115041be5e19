import { gradientName } from '../../../converters/onnx/gradient/differentiate.ts'
import type { Graph } from '../../../converters/onnx/graph.ts'
import type { Feeds, Provider } from '../../../converters/onnx/runtime/session.ts'
import type { Tensor } from '../../../converters/onnx/tensor.ts'
import type { TrainingForm } from '../../resnet/statistics.ts'
import type {
  AccumulateRequest,
  Answer,
  GradientRequest,
  OptimiserStep,
  SharingEngine,
  Values,
  WeightSpec,
} from '../engine.ts'
import { isDeep, openRunner } from './open-runner.ts'
import { Sharded } from './parallel/sharded.ts'
import { Workers } from './parallel/workers.ts'
import { ancestorsOf, type ProgramRequest } from './prepare.ts'
import { duration, faster, type Runner } from './runner.ts'
import { WeightTable } from './weights.ts'

export interface OnnxruntimeOptions {
  readonly weights: readonly WeightSpec[]
  /** What running statistics keep of themselves at each training pass. */
  readonly statisticsMomentum: number
  /** Default: cpu. */
  readonly provider?: Provider | undefined
  /** What other processes leave to this one. By default passes are shared among as many threads as pay. */
  readonly threads?: number | undefined
}

/** A pass that takes less than this many milliseconds is not worth sharing among threads. */
const WORTH_SHARING = 8

/** Differentiates graphs by the rules of `converters/onnx/gradient`, and runs the results in onnxruntime. */
export class OnnxruntimeEngine implements SharingEngine {
  readonly backend: string
  readonly #weights: WeightTable
  readonly #momentum: number
  readonly #provider: Provider
  readonly #threads: number | undefined
  readonly #workers: Workers
  /** What runs each graph, by what is computed and from which shapes. */
  readonly #runners = new Map<Graph, Map<string, Promise<Runner>>>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: OnnxruntimeOptions) {
    const { weights, statisticsMomentum, provider = 'cpu', threads } = options
    this.backend = provider === 'cpu' ? 'ort' : `ort-${provider}`
    this.#weights = new WeightTable(weights)
    this.#momentum = statisticsMomentum
    this.#provider = provider
    this.#threads = threads
    this.#workers = new Workers(this.#weights)
  }

  async forward({ graph }: TrainingForm, feeds: Feeds, outputs = outputsOf(graph)): Promise<Values> {
    return await this.#run(graph, feeds, { outputs, withRespectTo: [] })
  }

  async gradient({ graph }: TrainingForm, feeds: Feeds, request: GradientRequest): Promise<Answer> {
    const { of, withRespectTo } = request
    const results = await this.#run(graph, feeds, { outputs: outputsOf(graph), of, withRespectTo })
    return sorted(results, withRespectTo)
  }

  async accumulate(form: TrainingForm, feeds: Feeds, request: AccumulateRequest): Promise<Answer> {
    const { graph, statistics } = form
    const { of, weight, withRespectTo = [] } = request
    const needed = ancestorsOf(graph, of)
    const trained = [...graph.initializers.keys()].filter(
      (name) => this.#weights.isTrainable(name) && needed.has(name),
    )
    const results = await this.#run(graph, feeds, {
      outputs: outputsOf(graph),
      of,
      withRespectTo: [...withRespectTo, ...trained],
      passing: [...trained.map(gradientName), ...statistics.map(([, batch]) => batch)],
    })
    const examples = results[of]!.size
    for (const name of trained)
      this.#weights.accumulate(name, results[gradientName(name)]!.floats, weight / examples)
    for (const [running, batch] of statistics) {
      this.#weights.follow(running, results[batch]!.floats, this.#momentum)
      delete results[batch]
    }
    for (const name of trained) delete results[gradientName(name)]
    return sorted(results, withRespectTo)
  }

  async update(step: OptimiserStep): Promise<void> {
    this.#weights.update(step)
  }

  async perturb(radius: number): Promise<void> {
    this.#weights.perturb(radius)
  }

  async restore(): Promise<void> {
    this.#weights.restore()
  }

  async state(): Promise<Map<string, Tensor>> {
    return this.#weights.state()
  }

  async load(state: ReadonlyMap<string, Tensor>): Promise<void> {
    this.#weights.load(state)
  }

  async weights(averaged = false): Promise<Map<string, Tensor>> {
    return this.#weights.values(averaged)
  }

  async takeGradient(): Promise<Map<string, Tensor>> {
    return this.#weights.takeGradient()
  }

  async addGradient(gradients: ReadonlyMap<string, Tensor>): Promise<void> {
    for (const [name, { floats }] of gradients) this.#weights.accumulate(name, floats, 1)
  }

  async statistics(): Promise<Map<string, Tensor>> {
    return this.#weights.statistics()
  }

  async setWeights(values: ReadonlyMap<string, Tensor>): Promise<void> {
    this.#weights.set(values)
  }

  dispose(): void {
    for (const runners of this.#runners.values())
      for (const runner of runners.values()) runner.then((built) => built.release()).catch(() => {})
    this.#runners.clear()
    this.#workers.end()
  }

  /** One request after the other: what is computed on the way lies in memory that all runs of a graph share. */
  #run(graph: Graph, feeds: Feeds, request: ProgramRequest): Promise<Record<string, Tensor>> {
    const result = this.#last.then(async () => (await this.#runner(graph, feeds, request)).run(feeds))
    this.#last = result.catch(() => {})
    return result
  }

  #runner(graph: Graph, feeds: Feeds, request: ProgramRequest): Promise<Runner> {
    const runners = this.#runners.get(graph) ?? new Map<string, Promise<Runner>>()
    this.#runners.set(graph, runners)
    const shapes = Object.entries(feeds).map(([name, { dims }]) => `${name}[${dims}]`)
    const key = JSON.stringify([shapes, request])
    const runner = runners.get(key) ?? this.#build(graph, feeds, request)
    runners.set(key, runner)
    return runner
  }

  async #build(graph: Graph, feeds: Feeds, request: ProgramRequest): Promise<Runner> {
    const runner = await openRunner(graph, feeds, request, this.#weights, {
      provider: this.#provider,
      ...(this.#threads !== undefined && { threads: this.#threads }),
    })
    // Passes that leave weights alone take each example for itself, unless normalised by the batch: `faster` sees that.
    const { count } = this.#workers
    const rows = Math.min(...Object.values(feeds).map(({ dims }) => dims[0] ?? 1))
    const shareable = this.#provider === 'cpu' && request.passing === undefined && !isDeep(graph, request)
    if (!shareable || this.#threads !== undefined || count < 2 || rows < 2 * count) return runner
    const run = (way: Runner) => way.run(feeds)
    await run(runner)
    if ((await duration(() => run(runner))) < WORTH_SHARING) return runner
    return await faster<Runner>(runner, await Sharded.build(graph, feeds, request, this.#workers), run)
  }
}

const outputsOf = (graph: Graph): string[] => graph.outputs.map(({ name }) => name)

/** Tells outputs from gradients. */
function sorted(results: Readonly<Record<string, Tensor>>, withRespectTo: readonly string[]): Answer {
  const names = new Map(withRespectTo.map((name) => [gradientName(name), name]))
  const outputs: Record<string, Tensor> = {}
  const gradients: Record<string, Tensor> = {}
  for (const [name, tensor] of Object.entries(results)) {
    const of = names.get(name)
    if (of === undefined) outputs[name] = tensor
    else gradients[of] = tensor
  }
  return { outputs, gradients }
}
