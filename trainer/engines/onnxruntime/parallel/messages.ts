import type { WireTensor } from '../../../../converters/onnx/runtime/protocol.ts'
import type { ErrorCode } from '../../../../manifests/error.ts'
import type { ProgramRequest } from '../prepare.ts'

type Wire = Readonly<Record<string, WireTensor>>

/** What a worker is told. It answers each message, in order. */
export type Message =
  | { readonly kind: 'weights'; readonly version: number; readonly values: Wire }
  | {
      readonly kind: 'build'
      /** By which later messages name what is built. */
      readonly runner: number
      /** The graph, as an .onnx file has it. */
      readonly model: Uint8Array
      readonly feeds: Wire
      readonly request: ProgramRequest
    }
  | { readonly kind: 'run'; readonly runner: number; readonly feeds: Wire }
  | { readonly kind: 'release'; readonly runner: number }

export type Answer =
  | { readonly kind: 'done'; readonly results: Wire }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string; readonly hint?: string }
