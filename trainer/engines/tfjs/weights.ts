import * as tf from '@tensorflow/tfjs'
import type { Tensor } from '../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../manifests/error.ts'
import type { OptimiserStep, WeightSpec } from '../engine.ts'
import { download, upload } from './exchange.ts'
import type { Plan } from './interpreter.ts'
import { type Layout, toLayout, type Value } from './value.ts'

/** Tensors that go with one weight, all in the weight's layout. */
interface Slots {
  value: tf.Tensor
  momentum?: tf.Tensor | undefined
  average?: tf.Tensor | undefined
  /** Accumulated since the last update. */
  gradient?: tf.Tensor | undefined
  /** What an adversarial weight perturbation added. */
  displacement?: tf.Tensor | undefined
}
type Slot = keyof Slots
type Optional = Exclude<Slot, 'value'>

interface Entry {
  readonly role: WeightSpec['role']
  layout: Layout
  readonly slots: Slots
}

/** What a checkpoint keeps of a weight, under `KIND/NAME`. */
const KINDS = { weight: 'value', momentum: 'momentum', average: 'average', gradient: 'gradient' } as const

/** The weights on the backend with what the optimiser keeps for each. */
export class WeightTable {
  readonly #entries = new Map<string, Entry>()

  constructor(specs: readonly WeightSpec[]) {
    for (const { name, value, role } of specs) {
      const { tensor, layout } = upload(value)
      this.#entries.set(name, { role, layout, slots: { value: tf.keep(tensor) } })
    }
  }

  get(name: string): Value | undefined {
    const entry = this.#entries.get(name)
    return entry && { tensor: entry.slots.value, layout: entry.layout }
  }

  isTrainable(name: string): boolean {
    const role = this.#entries.get(name)?.role
    return role === 'kernel' || role === 'affine'
  }

  /** Keeps convolution kernels the way tfjs convolves, so that no pass has to move their axes. */
  prefer(plan: Plan): void {
    for (const { node } of plan.steps) {
      const entry = /^Conv/.test(node.opType) ? this.#entries.get(node.inputs[1]!) : undefined
      if (!entry || entry.layout === 'hwio') continue
      for (const [slot, tensor] of Object.entries(entry.slots) as [Slot, tf.Tensor | undefined][])
        if (tensor) tf.tidy(() => set(entry, slot, toLayout({ tensor, layout: entry.layout }, 'hwio')))
      entry.layout = 'hwio'
    }
  }

  /** Adds `factor` times the gradient, which it takes over. */
  accumulate(name: string, gradient: tf.Tensor, factor: number): void {
    const entry = this.#entries.get(name)!
    const sofar = entry.slots.gradient
    tf.tidy(() => {
      const scaled = tf.mul(gradient, factor)
      set(entry, 'gradient', sofar ? tf.add(sofar, scaled) : scaled)
    })
    gradient.dispose()
  }

  /** r ← m·r + (1 - m)·batch; takes the batch statistic over. */
  follow(name: string, batch: tf.Tensor, momentum: number): void {
    const entry = this.#entries.get(name)!
    tf.tidy(() =>
      set(entry, 'value', tf.add(tf.mul(entry.slots.value, momentum), tf.mul(batch, 1 - momentum))),
    )
    batch.dispose()
  }

  /** Hands the accumulated gradients over, by weight, and forgets them. */
  async takeGradient(): Promise<Map<string, Tensor>> {
    const gradients = new Map<string, Tensor>()
    for (const [name, { layout, slots }] of this.#entries) {
      if (!slots.gradient) continue
      gradients.set(name, await download({ tensor: slots.gradient, layout }))
      drop(slots, 'gradient')
    }
    return gradients
  }

  addGradient(gradients: ReadonlyMap<string, Tensor>): void {
    for (const [name, tensor] of gradients) {
      const { layout } = this.#entries.get(name)!
      this.accumulate(
        name,
        tf.tidy(() => tf.clone(toLayout(upload(tensor), layout))),
        1,
      )
    }
  }

  async statistics(): Promise<Map<string, Tensor>> {
    const statistics = new Map<string, Tensor>()
    for (const [name, { role, layout, slots }] of this.#entries)
      if (role === 'statistic') statistics.set(name, await download({ tensor: slots.value, layout }))
    return statistics
  }

  /** New values for some weights. */
  set(values: ReadonlyMap<string, Tensor>): void {
    for (const [name, tensor] of values) {
      const entry = this.#entries.get(name)!
      tf.tidy(() => set(entry, 'value', toLayout(upload(tensor), entry.layout)))
    }
  }

  update(step: OptimiserStep): void {
    for (const entry of this.#entries.values()) {
      const { slots } = entry
      if (slots.gradient) tf.tidy(() => descend(entry, step))
      drop(slots, 'gradient')
      const { averaging } = step
      if (averaging !== undefined)
        tf.tidy(() => {
          const average = slots.average ?? slots.value
          set(entry, 'average', tf.add(tf.mul(average, averaging), tf.mul(slots.value, 1 - averaging)))
        })
    }
  }

  perturb(radius: number): void {
    for (const entry of this.#entries.values()) {
      const { slots, role } = entry
      if (slots.gradient && role === 'kernel')
        tf.tidy(() => {
          const length = tf.div(tf.norm(slots.value), tf.add(tf.norm(slots.gradient!), 1e-20))
          set(entry, 'displacement', tf.mul(slots.gradient!, tf.mul(length, radius)))
          set(entry, 'value', tf.add(slots.value, slots.displacement!))
        })
      drop(slots, 'gradient')
    }
  }

  restore(): void {
    for (const entry of this.#entries.values()) {
      const { displacement } = entry.slots
      if (!displacement) continue
      tf.tidy(() => set(entry, 'value', tf.sub(entry.slots.value, displacement)))
      drop(entry.slots, 'displacement')
    }
  }

  async state(): Promise<Map<string, Tensor>> {
    const state = new Map<string, Tensor>()
    for (const [name, { layout, slots }] of this.#entries)
      for (const [kind, slot] of Object.entries(KINDS)) {
        const tensor = slots[slot]
        if (tensor) state.set(`${kind}/${name}`, await download({ tensor, layout }))
      }
    return state
  }

  /** @throws ZooError `integrity` when the state lacks a weight or has it in another shape */
  load(state: ReadonlyMap<string, Tensor>): void {
    for (const [name, entry] of this.#entries)
      for (const [kind, slot] of Object.entries(KINDS)) {
        const tensor = state.get(`${kind}/${name}`)
        if (tensor) tf.tidy(() => set(entry, slot, toLayout(upload(tensor), entry.layout)))
        else if (slot === 'value') throw new ZooError('integrity', `the checkpoint has no weight ${name}`)
        else drop(entry.slots, slot)
      }
  }

  async values(averaged: boolean): Promise<Map<string, Tensor>> {
    const values = new Map<string, Tensor>()
    for (const [name, { layout, slots }] of this.#entries) {
      const tensor = (averaged ? slots.average : undefined) ?? slots.value
      values.set(name, await download({ tensor, layout }))
    }
    return values
  }

  dispose(): void {
    for (const { slots } of this.#entries.values())
      for (const tensor of Object.values(slots) as (tf.Tensor | undefined)[]) tensor?.dispose()
    this.#entries.clear()
  }
}

function descend(entry: Entry, step: OptimiserStep): void {
  const { slots, role } = entry
  const scaled = step.gradientScale === 1 ? slots.gradient! : tf.mul(slots.gradient!, step.gradientScale)
  const decays = role === 'kernel' && step.weightDecay > 0
  const gradient = decays ? tf.add(scaled, tf.mul(slots.value, step.weightDecay)) : scaled
  const momentum = slots.momentum
    ? tf.add(tf.mul(slots.momentum, step.momentum), gradient)
    : tf.clone(gradient)
  set(entry, 'momentum', momentum)
  const direction = step.nesterov ? tf.add(gradient, tf.mul(momentum, step.momentum)) : momentum
  set(entry, 'value', tf.sub(slots.value, tf.mul(direction, step.learningRate)))
}

/** Puts a tensor in place of the old one and keeps it beyond the scope it was made in. */
function set({ slots }: Entry, slot: Slot, tensor: tf.Tensor): void {
  const old = slots[slot]
  slots[slot] = tf.keep(tensor)
  if (old !== tensor) old?.dispose()
}

function drop(slots: Slots, slot: Optional): void {
  slots[slot]?.dispose()
  slots[slot] = undefined
}
