import { ZooError } from '../../manifests/error.ts'
import { type FileRange, readRange } from './file-range.ts'

/** ONNX element types with their numbers in `TensorProto.DataType` and the bits that one element takes. */
const TYPES = {
  /** Where a file says nothing, or the value is no tensor but a sequence, a map or an optional. */
  undefined: { code: 0, bits: 0 },
  float32: { code: 1, bits: 32 },
  uint8: { code: 2, bits: 8 },
  int8: { code: 3, bits: 8 },
  uint16: { code: 4, bits: 16 },
  int16: { code: 5, bits: 16 },
  int32: { code: 6, bits: 32 },
  int64: { code: 7, bits: 64 },
  string: { code: 8, bits: 0 },
  bool: { code: 9, bits: 8 },
  float16: { code: 10, bits: 16 },
  float64: { code: 11, bits: 64 },
  uint32: { code: 12, bits: 32 },
  uint64: { code: 13, bits: 64 },
  complex64: { code: 14, bits: 64 },
  complex128: { code: 15, bits: 128 },
  bfloat16: { code: 16, bits: 16 },
  float8e4m3fn: { code: 17, bits: 8 },
  float8e4m3fnuz: { code: 18, bits: 8 },
  float8e5m2: { code: 19, bits: 8 },
  float8e5m2fnuz: { code: 20, bits: 8 },
  uint4: { code: 21, bits: 4 },
  int4: { code: 22, bits: 4 },
  float4e2m1: { code: 23, bits: 4 },
  float8e8m0: { code: 24, bits: 8 },
  uint2: { code: 25, bits: 2 },
  int2: { code: 26, bits: 2 },
} as const

export type DataType = keyof typeof TYPES

const NAME_OF_CODE = new Map<number, DataType>(
  Object.entries(TYPES).map(([name, { code }]) => [code, name as DataType]),
)

export const dataTypeCode = (dtype: DataType): number => TYPES[dtype].code
export const dataTypeFromCode = (code: number): DataType | undefined => NAME_OF_CODE.get(code)
export const isFloat = (dtype: DataType): boolean => /^b?float/.test(dtype)

/** Bytes that a tensor of this type and shape takes; elements under 8 bits are packed. */
export const byteLength = (dtype: DataType, dims: readonly number[]): number =>
  Math.ceil((sizeOf(dims) * TYPES[dtype].bits) / 8)

/** Number of elements; 1 for a scalar. */
export const sizeOf = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1)

/** Elements as a typed array. float16 and bfloat16 come as their bit patterns; bool as 0 and 1. */
export type Elements =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

const VIEWS: Partial<Record<DataType, new (b: ArrayBufferLike, o: number, n: number) => Elements>> = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
}

/**
 * An immutable tensor: element type, shape, and little-endian bytes in row-major order.
 * The bytes may be a view into a model file's buffer, so decoding a model copies no weight;
 * a typed view is made on first use, by copying only where the file's alignment forces it.
 * They may also lie in a file of external data: then they are read when asked for and kept only while in use.
 */
export class Tensor {
  readonly dtype: DataType
  readonly dims: readonly number[]
  /** Where the bytes lie, when they are not in memory. */
  readonly file: FileRange | undefined
  /** Only for dtype `string`. */
  readonly strings: readonly string[] | undefined
  #bytes: Uint8Array | undefined
  #elements: Elements | undefined
  #read: WeakRef<Uint8Array> | undefined

  constructor(
    dtype: DataType,
    dims: readonly number[],
    content: Uint8Array | FileRange,
    strings?: readonly string[],
  ) {
    const inMemory = content instanceof Uint8Array
    const length = inMemory ? content.byteLength : content.length
    if (dtype === 'undefined' || dims.some((dim) => !Number.isSafeInteger(dim) || dim < 0))
      throw new ZooError('invalid-model', `a tensor of type ${dtype} and shape [${dims}] cannot be`)
    if (dtype === 'string' ? strings?.length !== sizeOf(dims) : length !== byteLength(dtype, dims))
      throw new ZooError(
        'invalid-model',
        dtype === 'string'
          ? `a string tensor of shape [${dims}] has ${strings?.length} strings`
          : `a ${dtype} tensor of shape [${dims}] takes ${byteLength(dtype, dims)} bytes, not ${length}`,
      )
    this.dtype = dtype
    this.dims = dims
    this.strings = strings
    this.file = inMemory ? undefined : content
    this.#bytes = inMemory ? content : undefined
  }

  static of(dtype: DataType, dims: readonly number[], elements: Elements): Tensor {
    const tensor = new Tensor(
      dtype,
      dims,
      new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength),
    )
    tensor.#elements = elements
    return tensor
  }

  static float32(dims: readonly number[], values: Float32Array | readonly number[]): Tensor {
    return Tensor.of('float32', dims, values instanceof Float32Array ? values : Float32Array.from(values))
  }

  static int64(dims: readonly number[], values: BigInt64Array | readonly (number | bigint)[]): Tensor {
    return Tensor.of(
      'int64',
      dims,
      values instanceof BigInt64Array ? values : BigInt64Array.from(values, BigInt),
    )
  }

  /** Little-endian, row-major. Reads the file, in full and without waiting, where the bytes lie in one. */
  get bytes(): Uint8Array {
    if (this.#bytes) return this.#bytes
    const known = this.#read?.deref()
    if (known) return known
    const bytes = readRange(this.file!)
    this.#read = new WeakRef(bytes)
    return bytes
  }

  /** A typed view of the elements. Throws for strings and for types that have no typed array. */
  get elements(): Elements {
    if (this.#elements) return this.#elements
    const View = VIEWS[this.dtype]
    if (!View)
      throw new ZooError('unsupported-model', `tensors of type ${this.dtype} cannot be read as numbers`)
    const width = TYPES[this.dtype].bits / 8
    // Not `slice`: of a Buffer, that is a view.
    const bytes = this.bytes.byteOffset % width === 0 ? this.bytes : new Uint8Array(this.bytes)
    const elements = new View(bytes.buffer, bytes.byteOffset, bytes.byteLength / width)
    if (this.file === undefined) this.#elements = elements
    return elements
  }

  /** The elements of a float32 tensor; throws for another type. */
  get floats(): Float32Array {
    if (this.dtype !== 'float32')
      throw new ZooError('internal', `expected a float32 tensor, got ${this.dtype} [${this.dims}]`)
    return this.elements as Float32Array
  }

  /** All elements as JavaScript numbers; 64-bit integers beyond 2^53 are clamped, which is what `Slice`'s "to the end" means. */
  get numbers(): number[] {
    const limit = BigInt(Number.MAX_SAFE_INTEGER)
    return Array.from(this.elements as ArrayLike<number | bigint>, (value) =>
      typeof value === 'bigint' ? Number(value > limit ? limit : value < -limit ? -limit : value) : value,
    )
  }

  get size(): number {
    return sizeOf(this.dims)
  }
}
