import type { Loss } from '../attacks/attack.ts'

/** Rows of images with what their losses need. `x` is [rows, C*H*W]. */
export interface GradientQuery {
  readonly x: Float32Array
  readonly labels: Int32Array
  /** For targeted losses. */
  readonly targets: Int32Array
}

export interface GradientAnswer {
  /** [rows, classes] */
  readonly logits: Float32Array
  /** [rows] */
  readonly loss: Float32Array
  /** [rows, C*H*W] */
  readonly gradient: Float32Array
}

/** The attacked model, a batch at a time. It does what it is told; the books are kept elsewhere. */
export interface AttackedModel {
  /** Channels, height, width. */
  readonly shape: readonly [number, number, number]
  readonly classes: number
  /** Most rows in one call. What is passed to a call may be overwritten after its answer. */
  readonly batch: number
  /** The forward-only model, which judges. `x` is [rows, C*H*W]; the answer is [rows, classes]. */
  forward(x: Float32Array): Promise<Float32Array>
  gradient(query: GradientQuery, loss: Loss): Promise<GradientAnswer>
}
