import type { Dim, Model } from '../graph.ts'
import type { DataType, Tensor } from '../tensor.ts'

export type Provider = 'cpu' | 'cuda' | 'webgpu'

export interface SessionOptions {
  readonly provider?: Provider
  /** Threads inside one operator; default: all cores. */
  readonly threads?: number
  readonly optimisation?: 'disabled' | 'basic' | 'extended' | 'all'
  /** Gives memory back after each run rather than keeping it for the next: for many sessions that run in turn. */
  readonly returnMemory?: boolean
}

export interface SessionValue {
  readonly name: string
  readonly dtype: DataType
  readonly dims: readonly Dim[] | null
}

export type Feeds = Readonly<Record<string, Tensor>>

/** One loaded model. All implementations pass the suite in `test/converters/onnx/runtime/session.suite.ts`. */
export interface Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  /** Computes every output. Throws `invalid-data` when feeds don't fit the model's inputs. */
  run(feeds: Feeds): Promise<Record<string, Tensor>>
  release(): Promise<void>
}

/** A model in memory, its encoded bytes, or a path (the only form whose external data is found by onnxruntime itself). */
export type ModelSource = Model | Uint8Array | string
