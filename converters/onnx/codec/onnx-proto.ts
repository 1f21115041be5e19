import type { MessageInitShape } from '@bufbuild/protobuf'
import type { onnx } from 'onnx-proto'
import type { ModelProtoSchema } from '../schema/onnx_pb.ts'

/**
 * The same message in the form that onnx-proto takes. The two libraries agree on the names of fields and differ in
 * two things: 64-bit integers are `Long` there (a bigint would be written as 0, without an error), and a `oneof` is
 * a field of its own name instead of `{ case, value }`.
 */
export const forOnnxProto = (message: MessageInitShape<typeof ModelProtoSchema>): onnx.IModelProto =>
  translated(message) as onnx.IModelProto

function translated(value: unknown): unknown {
  if (typeof value === 'bigint') return long(value)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map(translated)
  const fields: Record<string, unknown> = {}
  for (const [field, content] of Object.entries(value)) {
    if (field === '$typeName') continue
    if (isOneof(content)) fields[content.case] = translated(content.value)
    else fields[field] = translated(content)
  }
  return fields
}

/** protobufjs takes anything with the fields of a `Long`. */
const long = (value: bigint) => ({
  low: Number(BigInt.asIntN(32, value)),
  high: Number(BigInt.asIntN(32, value >> 32n)),
  unsigned: false,
})

const isOneof = (value: unknown): value is { case: string; value: unknown } =>
  typeof value === 'object' && value !== null && 'case' in value && typeof value.case === 'string'
