import type { WireTensor } from '../../../converters/onnx/runtime/protocol.ts'
import type { ErrorCode } from '../../../manifests/error.ts'
import type { AccumulateRequest, GradientRequest, WeightSpec } from '../engine.ts'
import type { Backend, EngineOptions } from '../open.ts'

export type WireTensors = Readonly<Record<string, WireTensor>>

/** A form is sent once, as the bytes of a model, and named by its number from then on. */
interface OnForm {
  readonly form: number
  readonly feeds: WireTensors
}

/** What the first process asks of the others; they answer in order. */
export type Message =
  | {
      readonly kind: 'open'
      readonly backend: Exclude<Backend, 'auto'>
      readonly options: Omit<EngineOptions, 'weights'>
      readonly weights: readonly (Omit<WeightSpec, 'value'> & { readonly value: WireTensor })[]
    }
  | {
      readonly kind: 'form'
      readonly form: number
      readonly model: Uint8Array
      readonly statistics: readonly (readonly [string, string])[]
    }
  | ({ readonly kind: 'forward'; readonly outputs: readonly string[] | undefined } & OnForm)
  | ({ readonly kind: 'gradient'; readonly request: GradientRequest } & OnForm)
  | ({ readonly kind: 'accumulate'; readonly request: AccumulateRequest } & OnForm)
  /** Hands over the accumulated gradient and what running statistics have become. */
  | { readonly kind: 'collect' }
  | { readonly kind: 'weights'; readonly weights: WireTensors }

export type Reply =
  | { readonly kind: 'done'; readonly results: Readonly<Record<string, WireTensors>> }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string; readonly hint?: string }
