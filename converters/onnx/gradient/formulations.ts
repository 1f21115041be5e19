import type { Provider } from '../runtime/session.ts'
import { blocked } from './blocked.ts'
import type { Emitter } from './emitter.ts'
import { plain } from './plain.ts'
import type { Size, Sizes } from './sizes.ts'
import type { Windows } from './windows.ts'

/** A convolution as its gradients see it. */
export interface Convolution extends Windows {
  /** Name of the weights [outputs, inputs / group, ...kernel]. */
  readonly weights: string
  readonly inputs: number
  readonly outputs: number
  readonly group: number
  /** How many images. */
  readonly batch: Size
}

/** Windows over each channel by itself. */
export interface Channelwise extends Windows {
  readonly channels: number
  readonly batch: Size
}

/** Gradients that can be written in several ways, of which one is fast on a given provider. */
export interface Formulations {
  /** 1 where the value is above zero, 0 elsewhere; its own gradient is zero. */
  step(op: Emitter, value: string): string
  /** 1 where low < value < high, 0 elsewhere; its own gradient is zero. */
  between(op: Emitter, value: string, low: number, high: number): string
  /** slope value + offset, where the value and the result lie between 0 and 1. */
  ramp(op: Emitter, value: string, slope: number, offset: number): string
  /** The gradient of a convolution with respect to its image [N, inputs, ...image]. */
  convolutionInput(op: Emitter, dy: string, convolution: Convolution): string
  /** Adds each position's value [N, C, ...positions] to all elements of its window, giving [N, C, ...image]. */
  spreadWindows(op: Emitter, value: string, windows: Channelwise): string
  /** Copies [N, C, 1, 1] over all positions of an image [N, C, ...]. */
  spread(op: Emitter, value: string, sizes: Sizes): string
}

/**
 * The one place where providers differ. onnxruntime's CPU provider computes convolutions in a blocked layout (NCHWc);
 * operators without a blocked form force a reordering on the way in and out, which costs more than they do.
 */
export const formulationsFor = (provider: Provider): Formulations => (provider === 'cpu' ? blocked : plain)
