import { ZooError } from '../../../manifests/error.ts'
import { type AttributeValues, GraphBuilder } from '../../onnx/builder.ts'
import { emptyGraph } from '../../onnx/graph.ts'
import type { DataType, Tensor } from '../../onnx/tensor.ts'
import { type Dims, shown } from '../dims.ts'
import { permuted, reshaped } from './permute.ts'
import {
  type Computed,
  type Constant,
  type Extents,
  type Layout,
  storedDims,
  toChannelsFirst,
  toChannelsLast,
  type Value,
} from './value.ts'

/** A zero padding that a convolution can take over. */
export interface Padded {
  readonly source: Computed
  /** Before and after, by axis as tfjs counts. */
  readonly pads: readonly (readonly [number, number])[]
}

export const unsupported = (message: string): ZooError => new ZooError('unsupported-model', message)

/**
 * The ONNX graph while it is written: names values, puts them into the layout that a node asks for, and remembers
 * what it has already put there. The operations beside this file are functions over it.
 */
export class Lowering {
  readonly builder: GraphBuilder
  /** What nodes are named after: the layer or TensorFlow node that is being converted. */
  scope = ''
  /** Results of zero padding, by name. */
  readonly padded = new Map<string, Padded>()
  readonly #layouts = new Map<string, string>()
  readonly #constants = new Map<Constant, Map<string, string>>()

  constructor(name: string) {
    this.builder = new GraphBuilder(emptyGraph(name))
  }

  /** Declares a model input, whose `dims` are those that tfjs sees. */
  input(name: string, dtype: DataType, dims: Dims, layout: Layout): Computed {
    const taken = this.builder.fresh(name)
    const stored = storedDims(dims, layout)
    this.builder.graph.inputs.push({
      name: taken,
      dtype,
      dims: stored.map((dim) => (typeof dim === 'number' ? dim : 'N')),
    })
    return { kind: 'computed', name: taken, dtype, dims, layout }
  }

  /** Appends a node named after the current scope and returns its first output's name. */
  op(opType: string, inputs: readonly string[], attributes: AttributeValues = {}): string {
    return this.ops(opType, inputs, attributes, 1)[0]!
  }

  ops(opType: string, inputs: readonly string[], attributes: AttributeValues, outputs: number): string[] {
    const name = this.builder.fresh(this.scope === '' ? opType : `${this.scope}/${opType}`)
    return this.builder.ops(opType, inputs, attributes, { name, outputs })
  }

  computed(name: string, dtype: DataType, dims: Dims, layout: Layout = 'as-is'): Computed {
    return { kind: 'computed', name, dtype, dims, layout }
  }

  /** The name under which a node can take the value in this layout; emits what it takes to bring it there. */
  name(value: Value, layout: Layout = 'as-is'): string {
    if (value.kind === 'extents') throw batchAsValue(value)
    const rank = value.dims.length
    if (value.kind === 'constant')
      return layout === 'as-is'
        ? this.weight(value, 'as-is', (tensor) => tensor)
        : this.weight(value, 'channels-first', (tensor) => permuted(tensor, toChannelsFirst(rank)))
    if (value.layout === layout) return value.name
    const key = `${layout} ${value.name}`
    const known = this.#layouts.get(key)
    if (known !== undefined) return known
    const name = onlyMovesUnits(value.dims)
      ? this.reshape(value.name, storedDims(value.dims, layout))
      : this.op('Transpose', [value.name], {
          perm: layout === 'as-is' ? toChannelsLast(rank) : toChannelsFirst(rank),
        })
    this.#layouts.set(key, name)
    return name
  }

  /** The initialiser that holds a weight in the form that `form` names and `make` makes; made once for each form. */
  weight(value: Constant, form: string, make: (tensor: Tensor) => Tensor): string {
    const forms = this.#constants.get(value) ?? new Map<string, string>()
    this.#constants.set(value, forms)
    let name = forms.get(form)
    if (name === undefined) {
      name = this.builder.initializer(make(value.tensor), value.name)
      forms.set(form, name)
    }
    return name
  }

  /** A value with its axes in another order and, if given, another shape of as many elements: a kernel, mostly. */
  arranged(value: Value, perm: readonly number[], dims?: readonly number[]): string {
    if (value.kind === 'constant')
      return this.weight(value, `${perm} ${dims ?? ''}`, (tensor) => {
        const result = permuted(tensor, perm)
        return dims === undefined ? result : reshaped(result, dims)
      })
    const transposed = this.op('Transpose', [this.name(value)], { perm })
    return dims === undefined ? transposed : this.reshape(transposed, dims)
  }

  /** Emits a Reshape to a shape in which at most one axis depends on the batch. */
  reshape(name: string, dims: Dims): string {
    return this.op('Reshape', [
      name,
      this.builder.int64s(dims.map((dim) => (typeof dim === 'number' ? dim : -1))),
    ])
  }
}

/** With one channel, or one element on every axis between batch and channels, both layouts hold the same bytes in the same order. */
export const onlyMovesUnits = (dims: Dims): boolean =>
  dims.at(-1) === 1 || dims.slice(1, -1).every((dim) => dim === 1)

const batchAsValue = (value: Extents): ZooError =>
  unsupported(`the batch size enters a computation: ${shown(value.items)}`)
