import type { FileHandle } from 'node:fs/promises'
import { byteLength, type DataType, Tensor } from '../../converters/onnx/tensor.ts'
import { ZooError } from '../../manifests/error.ts'

/** Element types of safetensors that a checkpoint uses, both ways. */
const NAMES: Partial<Record<DataType, string>> = {
  float32: 'F32',
  float64: 'F64',
  int32: 'I32',
  int64: 'I64',
  uint8: 'U8',
}
const TYPES = new Map(Object.entries(NAMES).map(([dtype, name]) => [name, dtype as DataType]))

interface Entry {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data_offsets: readonly [number, number]
}

/** Writes named tensors as a safetensors file: eight bytes of length, a JSON header, the tensors one after another. */
export async function writeSafetensors(
  file: FileHandle,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<void> {
  const entries: Record<string, Entry> = {}
  let offset = 0
  for (const [name, { dtype, dims, bytes }] of tensors) {
    const type = NAMES[dtype]
    if (!type) throw new ZooError('internal', `a checkpoint cannot hold ${name} of type ${dtype}`)
    entries[name] = { dtype: type, shape: dims, data_offsets: [offset, offset + bytes.byteLength] }
    offset += bytes.byteLength
  }
  const text = JSON.stringify(entries)
  // Padded, so that the tensors start at a multiple of eight bytes.
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  await file.write(Buffer.concat([length, header]))
  for (const { bytes } of tensors.values()) await file.writeFile(bytes)
}

/**
 * Reads the tensors of a safetensors file, as views of its bytes.
 *
 * @throws ZooError `integrity` where header and bytes disagree
 */
export function readSafetensors(bytes: Uint8Array, what: string): Map<string, Tensor> {
  const broken = (why: string): ZooError => new ZooError('integrity', `${what} is damaged: ${why}`)
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.length < 8) throw broken('it has no header')
  const length = Number(view.readBigUInt64LE())
  if (length > view.length - 8) throw broken('its header is cut off')
  let entries: Record<string, Entry>
  try {
    entries = JSON.parse(view.toString('utf8', 8, 8 + length)) as Record<string, Entry>
  } catch {
    throw broken('its header is no JSON')
  }
  const data = bytes.subarray(8 + length)
  const tensors = new Map<string, Tensor>()
  for (const [name, { dtype, shape, data_offsets: range }] of Object.entries(entries)) {
    if (name === '__metadata__') continue
    const type = TYPES.get(dtype)
    if (!type) throw broken(`${name} is of type ${dtype}`)
    const [begin, end] = range
    if (end > data.length || end - begin !== byteLength(type, shape)) throw broken(`${name} is cut off`)
    tensors.set(name, new Tensor(type, shape, data.subarray(begin, end)))
  }
  return tensors
}
