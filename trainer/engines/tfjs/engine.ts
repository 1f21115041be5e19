import * as tf from '@tensorflow/tfjs'
import type { Graph } from '../../../converters/onnx/graph.ts'
import type { Feeds } from '../../../converters/onnx/runtime/session.ts'
import type { Tensor } from '../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../manifests/error.ts'
import type { TrainingForm } from '../../resnet/statistics.ts'
import type {
  AccumulateRequest,
  Answer,
  GradientRequest,
  OptimiserStep,
  SharingEngine,
  Values,
} from '../engine.ts'
import type { EngineOptions } from '../open.ts'
import { switchTo, type TfjsBackend } from './backend.ts'
import { download, upload } from './exchange.ts'
import { interpret, type Plan, planOf } from './interpreter.ts'
import { interpretRecomputing } from './recompute.ts'
import type { Value } from './value.ts'
import { WeightTable } from './weights.ts'

export interface TfjsOptions extends EngineOptions {
  /** It must be tfjs's current one. */
  readonly backend: TfjsBackend
}

/** What one pass over a graph computes. */
interface Pass {
  readonly outputs: Map<string, Value>
  readonly gradients: Map<string, Value>
}

/** Interprets graphs with tfjs operations, on whichever backend is set, and lets tfjs differentiate them. */
export class TfjsEngine implements SharingEngine {
  readonly backend: TfjsBackend
  readonly #weights: WeightTable
  readonly #momentum: number
  readonly #recompute: boolean
  /** Plans of each graph by what is wanted of it, and constants on the backend. */
  readonly #plans = new Map<Graph, Map<string, Plan>>()
  readonly #constants = new Map<Tensor, Value>()

  constructor(options: TfjsOptions) {
    this.backend = options.backend
    this.#weights = new WeightTable(options.weights)
    this.#momentum = options.statisticsMomentum
    this.#recompute = options.recompute ?? false
  }

  async forward(form: TrainingForm, feeds: Feeds, outputs?: readonly string[]): Promise<Values> {
    await switchTo(this.backend)
    const wanted = outputs ?? form.graph.outputs.map(({ name }) => name)
    const plan = this.#plan(form.graph, wanted)
    let values = new Map<string, Value>()
    tf.tidy(() => {
      values = kept(interpret(plan, this.#given(plan, feeds)))
    })
    return await read(values)
  }

  async gradient(form: TrainingForm, feeds: Feeds, request: GradientRequest): Promise<Answer> {
    await switchTo(this.backend)
    const { outputs, gradients } = this.#differentiate(form, feeds, request.of, request.withRespectTo, [])
    return { outputs: await read(outputs), gradients: await read(gradients) }
  }

  async accumulate(form: TrainingForm, feeds: Feeds, request: AccumulateRequest): Promise<Answer> {
    await switchTo(this.backend)
    const names = [...form.graph.initializers.keys()].filter((name) => this.#weights.isTrainable(name))
    const taps = request.withRespectTo ?? []
    const { outputs, gradients } = this.#differentiate(form, feeds, request.of, taps, names)
    const examples = outputs.get(request.of)!.tensor.size
    for (const name of names) {
      const gradient = gradients.get(name)
      gradients.delete(name)
      if (gradient) this.#weights.accumulate(name, gradient.tensor, request.weight / examples)
    }
    for (const [running, batch] of form.statistics) {
      const value = outputs.get(batch)!
      outputs.delete(batch)
      this.#weights.follow(running, value.tensor, this.#momentum)
    }
    return { outputs: await read(outputs), gradients: await read(gradients) }
  }

  async update(step: OptimiserStep): Promise<void> {
    await switchTo(this.backend)
    this.#weights.update(step)
  }

  async perturb(radius: number): Promise<void> {
    await switchTo(this.backend)
    this.#weights.perturb(radius)
  }

  async restore(): Promise<void> {
    await switchTo(this.backend)
    this.#weights.restore()
  }

  async state(): Promise<Map<string, Tensor>> {
    await switchTo(this.backend)
    return await this.#weights.state()
  }

  async load(state: ReadonlyMap<string, Tensor>): Promise<void> {
    await switchTo(this.backend)
    this.#weights.load(state)
  }

  async weights(averaged = false): Promise<Map<string, Tensor>> {
    await switchTo(this.backend)
    return await this.#weights.values(averaged)
  }

  async takeGradient(): Promise<Map<string, Tensor>> {
    await switchTo(this.backend)
    return await this.#weights.takeGradient()
  }

  async addGradient(gradients: ReadonlyMap<string, Tensor>): Promise<void> {
    await switchTo(this.backend)
    this.#weights.addGradient(gradients)
  }

  async statistics(): Promise<Map<string, Tensor>> {
    await switchTo(this.backend)
    return await this.#weights.statistics()
  }

  async setWeights(values: ReadonlyMap<string, Tensor>): Promise<void> {
    await switchTo(this.backend)
    this.#weights.set(values)
  }

  dispose(): void {
    this.#weights.dispose()
    for (const { tensor } of this.#constants.values()) tensor.dispose()
    this.#constants.clear()
  }

  /**
   * One forward and backward pass. An inner value is tapped by adding a zero to it, whose gradient is the value's.
   */
  #differentiate(
    form: TrainingForm,
    feeds: Feeds,
    of: string,
    taps: readonly string[],
    weights: readonly string[],
  ): Pass {
    const { graph } = form
    const wanted = [...new Set([of, ...graph.outputs.map(({ name }) => name)])]
    const plan = this.#plan(graph, wanted, taps)
    let outputs = new Map<string, Value>()
    const gradients = new Map<string, Value>()
    tf.tidy(() => {
      const given = this.#given(plan, feeds)
      const inner = taps.filter((name) => !given.has(name))
      const probes = this.#probes(plan, given, inner, feeds)
      const names = [...taps, ...weights]
      const sources = names.map((name) => probes.get(name) ?? given.get(name)!)
      const { value, grads } = tf.engine().gradients(
        () => {
          const computed =
            this.#recompute && inner.length === 0
              ? interpretRecomputing(plan, given, new Set(names))
              : interpret(plan, given, (name, value) => {
                  const probe = probes.get(name)
                  return probe ? { ...value, tensor: tf.add(value.tensor, probe.tensor) } : value
                })
          outputs = kept(computed)
          return tf.sum(computed.get(of)!.tensor)
        },
        sources.map(({ tensor }) => tensor),
        undefined as unknown as tf.Tensor,
        true,
      )
      value.dispose()
      names.forEach((name, i) => {
        const gradient = grads[i]
        if (gradient) gradients.set(name, { tensor: tf.keep(gradient), layout: sources[i]!.layout })
        else if (taps.includes(name))
          throw new ZooError('internal', `${of} doesn't depend on ${name} in graph ${graph.name}`)
      })
    })
    return { outputs, gradients }
  }

  /** Zeros in the shape of each tapped inner value, which a forward pass tells the first time. */
  #probes(
    plan: Plan,
    given: ReadonlyMap<string, Value>,
    names: readonly string[],
    feeds: Feeds,
  ): Map<string, Value> {
    const probes = new Map<string, Value>()
    if (names.length === 0) return probes
    interpret(plan, given, (name, value) => {
      if (names.includes(name)) probes.set(name, { ...value, tensor: tf.zeros(value.tensor.shape) })
      return value
    })
    for (const name of names)
      if (!probes.has(name))
        throw new ZooError('internal', `no value ${name} in the graph fed with ${Object.keys(feeds)}`)
    return probes
  }

  #plan(graph: Graph, wanted: readonly string[], tapped: readonly string[] = []): Plan {
    const plans = this.#plans.get(graph) ?? new Map<string, Plan>()
    this.#plans.set(graph, plans)
    const key = [...wanted, '', ...tapped].join('\n')
    let plan = plans.get(key)
    if (!plan) {
      plan = planOf(graph, wanted, tapped)
      plans.set(key, plan)
      this.#weights.prefer(plan)
    }
    return plan
  }

  /** Feeds, weights and constants as values for one run. */
  #given(plan: Plan, feeds: Feeds): Map<string, Value> {
    const given = new Map<string, Value>()
    for (const [name, tensor] of Object.entries(feeds)) given.set(name, upload(tensor))
    for (const [name, tensor] of plan.constants)
      given.set(name, this.#weights.get(name) ?? this.#constant(tensor))
    return given
  }

  #constant(tensor: Tensor): Value {
    let value = this.#constants.get(tensor)
    if (!value) {
      value = upload(tensor)
      tf.keep(value.tensor)
      this.#constants.set(tensor, value)
    }
    return value
  }
}

/** The same values, to outlive the scope that they were computed in. */
const kept = (values: Map<string, Value>): Map<string, Value> =>
  new Map(
    [...values].map(([name, { tensor, layout }]) => [name, { tensor: tf.keep(tf.clone(tensor)), layout }]),
  )

async function read(values: Map<string, Value>): Promise<Values> {
  const answer: Record<string, Tensor> = {}
  for (const [name, value] of values) {
    answer[name] = await download(value)
    value.tensor.dispose()
  }
  return answer
}
