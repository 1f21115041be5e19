import type { GraphBuilder } from '../../converters/onnx/builder.ts'
import type { Tensor } from '../../converters/onnx/tensor.ts'
import type { ResNetSpec } from '../../manifests/schema/recipe.ts'
import { heFanOut, type Initialiser, initialised } from './initialise.ts'

/** A value of the graph being built and what is known of it: [N, channels, height, width]. */
export interface Feature {
  readonly value: string
  readonly channels: number
  readonly height: number
  readonly width: number
}

/** `main` normalises everything alike; mixture batch norm has a branch for clean and one for adversarial mini-batches. */
export type Branch = 'main' | 'clean' | 'adv'

/** Appends layers to a graph; a weight that the map lacks gets its first value there, and graphs share the map. */
export class Layers {
  readonly builder: GraphBuilder
  readonly spec: ResNetSpec
  readonly branch: Branch
  readonly #weights: Map<string, Tensor>
  readonly #seed: number

  constructor(
    builder: GraphBuilder,
    spec: ResNetSpec,
    branch: Branch,
    weights: Map<string, Tensor>,
    seed: number,
  ) {
    this.builder = builder
    this.spec = spec
    this.branch = branch
    this.#weights = weights
    this.#seed = seed
  }

  /** The named weight as an initialiser of the graph. */
  weight(name: string, dims: readonly number[], initialiser: Initialiser): string {
    let tensor = this.#weights.get(name)
    if (tensor === undefined) {
      tensor = initialised(initialiser, this.#seed, name, dims)
      this.#weights.set(name, tensor)
    }
    return this.builder.initializer(tensor, name)
  }

  /** A convolution without bias, padded so that stride 1 keeps the size. */
  convolution(x: Feature, layer: string, channels: number, kernel: number, stride = 1): Feature {
    const weight = this.weight(`${layer}/kernel`, [channels, x.channels, kernel, kernel], heFanOut)
    const [top, bottom] = padding(this.spec, x.height, kernel, stride)
    const [left, right] = padding(this.spec, x.width, kernel, stride)
    const value = this.builder.op(
      'Conv',
      [x.value, weight],
      { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [top, left, bottom, right] },
      { name: layer },
    )
    return {
      value,
      channels,
      height: Math.ceil(x.height / stride),
      width: Math.ceil(x.width / stride),
    }
  }

  activation(x: Feature, layer: string): Feature {
    const { builder } = this
    const name = { name: layer }
    switch (this.spec.activation) {
      case 'relu':
        return { ...x, value: builder.op('Relu', [x.value], {}, name) }
      case 'softplus':
        return { ...x, value: builder.op('Softplus', [x.value], {}, name) }
      case 'silu':
        return { ...x, value: builder.op('Mul', [x.value, builder.op('Sigmoid', [x.value])], {}, name) }
    }
  }
}

/** Zeros before and after an axis of this size, so that the output has ceil(size / stride) elements. */
export function padding(
  spec: ResNetSpec,
  size: number,
  kernel: number,
  stride: number,
): readonly [number, number] {
  if (spec.padding === 'symmetric') return [(kernel - 1) >> 1, (kernel - 1) >> 1]
  const total = Math.max((Math.ceil(size / stride) - 1) * stride + kernel - size, 0)
  return [total >> 1, total - (total >> 1)]
}
