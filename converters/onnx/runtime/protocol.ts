import type { ErrorCode, ZooError } from '../../../manifests/error.ts'
import { type DataType, Tensor } from '../tensor.ts'
import type { Feeds, SessionOptions, SessionValue } from './session.ts'

/** What parent and child say to one another. A child answers each request, in order, by its id. */
export type Request = { readonly id: number } & (
  | { readonly kind: 'open'; readonly path: string; readonly options: SessionOptions }
  | { readonly kind: 'run'; readonly feeds: Readonly<Record<string, WireTensor>> }
)

export type Answer = { readonly id: number } & (
  | {
      readonly kind: 'opened'
      readonly inputs: readonly SessionValue[]
      readonly outputs: readonly SessionValue[]
    }
  | { readonly kind: 'done'; readonly results: Readonly<Record<string, WireTensor>> }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string; readonly hint?: string }
)

/** A tensor without its class, which structured cloning would lose. */
export interface WireTensor {
  readonly dtype: DataType
  readonly dims: readonly number[]
  readonly bytes: Uint8Array
  readonly strings?: readonly string[]
}

const toWire = ({ dtype, dims, bytes, strings }: Tensor): WireTensor => ({
  dtype,
  dims,
  bytes,
  ...(strings && { strings }),
})

const fromWire = ({ dtype, dims, bytes, strings }: WireTensor): Tensor =>
  new Tensor(dtype, dims, bytes, strings)

export const tensorsToWire = (tensors: Feeds): Record<string, WireTensor> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, toWire(tensor)]))

export const tensorsFromWire = (tensors: Readonly<Record<string, WireTensor>>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, fromWire(tensor)]))

export const failureOf = (id: number, { code, message, hint }: ZooError): Answer => ({
  id,
  kind: 'failed',
  code,
  message,
  ...(hint !== undefined && { hint }),
})
