import { Tensor } from '../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../manifests/error.ts'
import type { OptimiserStep, WeightSpec } from '../engine.ts'

/** One weight in memory that sessions read in place, with what the optimiser keeps for it. */
interface Entry {
  readonly role: WeightSpec['role']
  readonly dims: readonly number[]
  readonly value: Float32Array
  momentum?: Float32Array | undefined
  average?: Float32Array | undefined
  gradient?: Float32Array | undefined
  /** Whether `gradient` holds anything since the last update. */
  accumulated: boolean
  /** What an adversarial weight perturbation added. */
  displacement?: Float32Array | undefined
}

/** What a checkpoint keeps of a weight, under `KIND/NAME`. */
const KINDS = { weight: 'value', momentum: 'momentum', average: 'average', gradient: 'gradient' } as const

/**
 * The weights, and the optimiser. It works in place on the memory that sessions take as input and write gradients to,
 * so that no weight is copied from one step to the next.
 */
export class WeightTable {
  /** Counts changes of any weight: what was made from the weights is good while it stays the same. */
  version = 0
  readonly #entries = new Map<string, Entry>()

  constructor(specs: readonly WeightSpec[]) {
    for (const { name, value, role } of specs)
      this.#entries.set(name, { role, dims: value.dims, value: value.floats.slice(), accumulated: false })
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** The weight where it lies: what changes it changes this tensor. */
  get(name: string): Tensor {
    const { dims, value } = this.#entries.get(name)!
    return Tensor.float32(dims, value)
  }

  /** All weights where they lie. */
  *live(): Generator<readonly [string, Tensor]> {
    for (const name of this.#entries.keys()) yield [name, this.get(name)]
  }

  isTrainable(name: string): boolean {
    const role = this.#entries.get(name)?.role
    return role === 'kernel' || role === 'affine'
  }

  /** Adds `factor` times the gradient. */
  accumulate(name: string, gradient: Float32Array, factor: number): void {
    const entry = this.#entries.get(name)!
    entry.gradient ??= new Float32Array(entry.value.length)
    const sum = entry.gradient
    if (entry.accumulated) for (let i = 0; i < sum.length; i++) sum[i]! += factor * gradient[i]!
    else for (let i = 0; i < sum.length; i++) sum[i] = factor * gradient[i]!
    entry.accumulated = true
  }

  /** r ← m·r + (1 - m)·batch. */
  follow(name: string, batch: Float32Array, momentum: number): void {
    const { value } = this.#entries.get(name)!
    for (let i = 0; i < value.length; i++) value[i] = momentum * value[i]! + (1 - momentum) * batch[i]!
    this.version++
  }

  /** Hands the accumulated gradients over, by weight, and forgets them: they are good until the next is accumulated. */
  takeGradient(): Map<string, Tensor> {
    const gradients = new Map<string, Tensor>()
    for (const [name, entry] of this.#entries) {
      if (entry.accumulated) gradients.set(name, Tensor.float32(entry.dims, entry.gradient!))
      entry.accumulated = false
    }
    return gradients
  }

  statistics(): Map<string, Tensor> {
    const statistics = new Map<string, Tensor>()
    for (const [name, { role, dims, value }] of this.#entries)
      if (role === 'statistic') statistics.set(name, Tensor.float32(dims, value.slice()))
    return statistics
  }

  /** New values for some weights. */
  set(values: ReadonlyMap<string, Tensor>): void {
    for (const [name, { floats }] of values) this.#entries.get(name)!.value.set(floats)
    this.version++
  }

  update(step: OptimiserStep): void {
    for (const entry of this.#entries.values()) {
      if (entry.accumulated) descend(entry, entry.gradient!, step)
      entry.accumulated = false
      if (step.averaging !== undefined) average(entry, step.averaging)
    }
    this.version++
  }

  perturb(radius: number): void {
    for (const entry of this.#entries.values()) {
      const { value, gradient, role, accumulated } = entry
      entry.accumulated = false
      if (!accumulated || role !== 'kernel') continue
      const scale = (radius * norm(value)) / (norm(gradient!) + 1e-20)
      entry.displacement = gradient!.map((element) => element * scale)
      for (let i = 0; i < value.length; i++) value[i]! += entry.displacement[i]!
    }
    this.version++
  }

  restore(): void {
    for (const { value, displacement } of this.#displaced())
      for (let i = 0; i < value.length; i++) value[i]! -= displacement[i]!
    this.version++
  }

  state(): Map<string, Tensor> {
    const state = new Map<string, Tensor>()
    for (const [name, entry] of this.#entries)
      for (const [kind, slot] of Object.entries(KINDS)) {
        const values = slot === 'gradient' && !entry.accumulated ? undefined : entry[slot]
        if (values) state.set(`${kind}/${name}`, Tensor.float32(entry.dims, values.slice()))
      }
    return state
  }

  /** @throws ZooError `integrity` when the state lacks a weight or has it in another shape */
  load(state: ReadonlyMap<string, Tensor>): void {
    for (const [name, { dims }] of this.#entries) {
      const weight = state.get(`weight/${name}`)
      if (!weight) throw new ZooError('integrity', `the checkpoint has no weight ${name}`)
      for (const kind of Object.keys(KINDS)) {
        const found = state.get(`${kind}/${name}`)?.dims
        if (found && found.join() !== dims.join())
          throw new ZooError('integrity', `the checkpoint's ${kind}/${name} is [${found}], not [${dims}]`)
      }
    }
    for (const [name, entry] of this.#entries) {
      entry.value.set(state.get(`weight/${name}`)!.floats)
      entry.momentum = state.get(`momentum/${name}`)?.floats.slice()
      entry.average = state.get(`average/${name}`)?.floats.slice()
      entry.gradient = state.get(`gradient/${name}`)?.floats.slice()
      entry.accumulated = entry.gradient !== undefined
    }
    this.version++
  }

  values(averaged: boolean): Map<string, Tensor> {
    return new Map(
      [...this.#entries].map(([name, { dims, value, average }]) => [
        name,
        Tensor.float32(dims, ((averaged ? average : undefined) ?? value).slice()),
      ]),
    )
  }

  /** Takes what was added to each displaced weight. */
  *#displaced(): Generator<{ value: Float32Array; displacement: Float32Array }> {
    for (const entry of this.#entries.values()) {
      const { value, displacement } = entry
      entry.displacement = undefined
      if (displacement) yield { value, displacement }
    }
  }
}

function descend(entry: Entry, gradient: Float32Array, step: OptimiserStep): void {
  const { value, role } = entry
  const { learningRate, momentum: mu, nesterov, gradientScale } = step
  const decay = role === 'kernel' ? step.weightDecay : 0
  entry.momentum ??= new Float32Array(value.length)
  const velocity = entry.momentum
  for (let i = 0; i < value.length; i++) {
    const g = gradientScale * gradient[i]! + decay * value[i]!
    const v = mu * velocity[i]! + g
    velocity[i] = v
    value[i]! -= learningRate * (nesterov ? g + mu * v : v)
  }
}

function average(entry: Entry, decay: number): void {
  const { value } = entry
  entry.average ??= value.slice()
  const average = entry.average
  for (let i = 0; i < value.length; i++) average[i] = decay * average[i]! + (1 - decay) * value[i]!
}

const norm = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
