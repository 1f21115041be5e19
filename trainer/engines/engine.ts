import type { Feeds } from '../../converters/onnx/runtime/session.ts'
import type { Tensor } from '../../converters/onnx/tensor.ts'
import type { TrainingForm } from '../resnet/statistics.ts'

/** Tensors by value name: NCHW and OIHW, whatever the engine uses inside. */
export type Values = Readonly<Record<string, Tensor>>

export interface WeightSpec {
  readonly name: string
  readonly value: Tensor
  /** `kernel` decays; `affine` (scales, biases) doesn't; `statistic` follows batches; `frozen` never changes. */
  readonly role: 'kernel' | 'affine' | 'statistic' | 'frozen'
}

export interface GradientRequest {
  /** The output whose sum is differentiated: `loss`, one value for each example. */
  readonly of: string
  /** Graph inputs or inner values. */
  readonly withRespectTo: readonly string[]
}

export interface AccumulateRequest {
  readonly of: string
  /** The gradient of `weight` times the mean of `of` is added to what has been accumulated since the last update. */
  readonly weight: number
  /** Graph inputs or inner values whose gradients are wanted from the same pass, of the sum of `of`. */
  readonly withRespectTo?: readonly string[]
}

export interface Answer {
  readonly outputs: Values
  readonly gradients: Values
}

/** One step of stochastic gradient descent with momentum: v ← μv + g + λw; w ← w - η(v, or g + λw + μv with Nesterov). */
export interface OptimiserStep {
  readonly learningRate: number
  readonly momentum: number
  readonly nesterov: boolean
  readonly weightDecay: number
  /** Multiplies the accumulated gradient: 1 / batches that were accumulated. */
  readonly gradientScale: number
  /** Decay of the exponential moving average of the weights, if one is kept. */
  readonly averaging?: number
}

/**
 * What runs graphs and their gradients, and holds the weights. A weight is an initialiser of a graph whose name
 * the engine was given; the same name in two graphs is the same weight, and its value in the graph doesn't matter.
 * Methods are written against this and never see a backend's tensors.
 * All implementations pass the suite in `test/trainer/engines/engine.suite.ts`.
 */
export interface Engine {
  /** What made these numbers: a backend's name, with the provider after a hyphen where it isn't the CPU. */
  readonly backend: string

  /** Computes the graph's outputs, or those named. */
  forward(form: TrainingForm, feeds: Feeds, outputs?: readonly string[]): Promise<Values>

  /** Outputs, and the gradients of the sum of one of them; weights and statistics stay as they are. */
  gradient(form: TrainingForm, feeds: Feeds, request: GradientRequest): Promise<Answer>

  /**
   * Adds to the accumulated gradient of all trainable weights, and moves the running statistics that the form
   * updates: r ← m·r + (1 - m)·batch, with m the engine's statistics momentum.
   */
  accumulate(form: TrainingForm, feeds: Feeds, request: AccumulateRequest): Promise<Answer>

  /** Takes a step along the accumulated gradient and clears it. */
  update(step: OptimiserStep): Promise<void>

  /**
   * Adversarial weight perturbation (Wu et al. 2020): moves each kernel along the accumulated gradient by `radius` times
   * the kernel's own norm, and clears the gradient. `restore` takes exactly that back from whatever the weights are then.
   */
  perturb(radius: number): Promise<void>
  restore(): Promise<void>

  /**
   * Everything that training changes, by `weight/NAME`, `momentum/NAME`, `average/NAME`, and `gradient/NAME` for what has
   * been accumulated since the last update: what a checkpoint holds.
   */
  state(): Promise<Map<string, Tensor>>
  load(state: ReadonlyMap<string, Tensor>): Promise<void>
  /** Current weights by their own names; the moving averages if `averaged` and there are any. */
  weights(averaged?: boolean): Promise<Map<string, Tensor>>
  dispose(): void
}

/** An engine that can be one of several processes that share every batch: see `ParallelEngine`. */
export interface SharingEngine extends Engine {
  /** Hands the accumulated gradient over, by weight, and forgets it. */
  takeGradient(): Promise<Map<string, Tensor>>
  addGradient(gradients: ReadonlyMap<string, Tensor>): Promise<void>
  /** Current running statistics. */
  statistics(): Promise<Map<string, Tensor>>
  /** New values for some weights. */
  setWeights(values: ReadonlyMap<string, Tensor>): Promise<void>
}
