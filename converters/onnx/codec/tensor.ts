import { ZooError } from '../../../manifests/error.ts'
import type { FileRange } from '../file-range.ts'
import { type SparseTensorProto, type TensorProto, TensorProto_DataLocation } from '../schema/onnx_pb.ts'
import { byteLength, type DataType, dataTypeFromCode, type Elements, sizeOf, Tensor } from '../tensor.ts'

/** What a tensor says of the file that holds its bytes: the keys `location`, `offset` and `length` of the standard. */
export type ExternalEntry = ReadonlyMap<string, string>

/** Turns such an entry into a checked range of a file; `length` is what type and shape need. */
export type OpenExternal = (entry: ExternalEntry, length: number, tensor: string) => FileRange

/** Sparse tensors become dense ones; beyond this they would be a way to ask for any amount of memory. */
const LARGEST_DENSE = 1 << 28

export function decodedTensor(message: TensorProto, openExternal: OpenExternal | undefined): Tensor {
  const what = `tensor "${message.name}"`
  const dtype = dataTypeFromCode(message.dataType)
  if (dtype === undefined || dtype === 'undefined')
    throw new ZooError(
      'unsupported-model',
      `${what} has element type ${message.dataType}, which is not supported`,
    )
  if (message.segment) throw new ZooError('unsupported-model', `${what} is stored in segments`)
  const dims = message.dims.map(Number)
  try {
    if (message.dataLocation === TensorProto_DataLocation.EXTERNAL)
      return new Tensor(dtype, dims, external(message, byteLength(dtype, dims), openExternal))
    if (dtype === 'string') return new Tensor(dtype, dims, new Uint8Array(), message.stringData.map(utf8))
    if (Object.hasOwn(message, 'rawData')) return new Tensor(dtype, dims, message.rawData)
    return new Tensor(dtype, dims, bytesOf(typed(message, dtype)))
  } catch (error) {
    if (error instanceof ZooError && !error.message.includes(what))
      throw new ZooError(error.code, `${what}: ${error.message}`, {
        cause: error,
        ...(error.hint && { hint: error.hint }),
      })
    throw error
  }
}

/** The standard's second way to store elements: a repeated field by type, smaller types widened to 32 bits. */
function typed(message: TensorProto, dtype: DataType): Elements {
  switch (dtype) {
    case 'float32':
    case 'complex64':
      return Float32Array.from(message.floatData)
    case 'float64':
    case 'complex128':
      return Float64Array.from(message.doubleData)
    case 'int64':
      return BigInt64Array.from(message.int64Data)
    case 'uint64':
      return BigUint64Array.from(message.uint64Data)
    case 'uint32':
      return Uint32Array.from(message.uint64Data, Number)
    case 'int32':
      return Int32Array.from(message.int32Data)
    case 'int16':
    case 'uint16':
    case 'float16':
    case 'bfloat16':
      return Uint16Array.from(message.int32Data)
    default:
      return Uint8Array.from(message.int32Data)
  }
}

function external(message: TensorProto, length: number, openExternal: OpenExternal | undefined): FileRange {
  if (message.dataType === 8) throw new ZooError('invalid-model', 'strings cannot be external data')
  if (!openExternal)
    throw new ZooError('invalid-model', 'its data lies in another file', {
      hint: 'read the model by its path, with its external data beside it',
    })
  const entries = message.externalData.map(({ key, value }) => [key, value] as const)
  return openExternal(new Map(entries), length, message.name)
}

/** A sparse tensor with its absent elements as zeros. Indices are flat, or one row of coordinates per value. */
export function densified(message: SparseTensorProto): Tensor {
  const { values, indices } = message
  if (!values || !indices) throw new ZooError('invalid-model', 'a sparse tensor lacks its values or indices')
  const dims = message.dims.map(Number)
  const content = decodedTensor(values, undefined)
  const places = decodedTensor(indices, undefined)
  const length = byteLength(content.dtype, dims)
  const width = content.bytes.byteLength / Math.max(content.size, 1)
  if (
    !(length <= LARGEST_DENSE) ||
    content.dtype === 'string' ||
    places.dtype !== 'int64' ||
    !Number.isInteger(width)
  )
    throw new ZooError(
      'unsupported-model',
      `sparse tensor "${values.name}" of shape [${dims}] cannot be made dense`,
    )
  const rank = places.dims.length === 2 ? dims.length : 1
  if (places.size !== content.size * rank)
    throw new ZooError('invalid-model', `sparse tensor "${values.name}" has ${places.size} indices`)
  const flat = places.numbers
  const bytes = new Uint8Array(length)
  for (let i = 0; i < content.size; i++) {
    const place = rank === 1 ? flat[i]! : dims.reduce((at, dim, axis) => at * dim + flat[i * rank + axis]!, 0)
    if (!(place >= 0 && place < sizeOf(dims)))
      throw new ZooError('invalid-model', `sparse tensor "${values.name}" has an index outside its shape`)
    bytes.set(content.bytes.subarray(i * width, (i + 1) * width), place * width)
  }
  return new Tensor(content.dtype, dims, bytes)
}

const bytesOf = (elements: Elements): Uint8Array =>
  new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength)

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws ZooError `unsupported-model`: text that is not UTF-8 could not be written back as it was */
export function utf8(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes)
  } catch (error) {
    throw new ZooError('unsupported-model', 'a string holds bytes that are not UTF-8', { cause: error })
  }
}
