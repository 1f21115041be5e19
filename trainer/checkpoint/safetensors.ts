import { type FileHandle, open } from 'node:fs/promises'
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
  const text = Buffer.from(JSON.stringify(entries))
  // Padded, so that the tensors start at a multiple of eight bytes.
  const header = Buffer.alloc(Math.ceil(text.length / 8) * 8, ' ')
  text.copy(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  // `writeFile` on an open file goes on where the last write ended, and writes all of it.
  await file.writeFile(length)
  await file.writeFile(header)
  for (const { bytes } of tensors.values()) await file.writeFile(bytes)
}

/**
 * Reads the tensors of a safetensors file, one by one: a file of 2 GiB or more cannot be read at once.
 *
 * @throws ZooError `integrity` where header and bytes disagree
 */
export async function readSafetensors(path: string): Promise<Map<string, Tensor>> {
  const broken = (why: string): ZooError => new ZooError('integrity', `${path} is damaged: ${why}`)
  const file = await open(path)
  try {
    const { size } = await file.stat()
    if (size < 8) throw broken('it has no header')
    const length = Number((await readAt(file, 0, 8)).readBigUInt64LE())
    if (length > size - 8) throw broken('its header is cut off')
    const entries = parsed((await readAt(file, 8, length)).toString())
    if (!entries) throw broken('its header is no JSON')
    const tensors = new Map<string, Tensor>()
    for (const [name, { dtype, shape, data_offsets: range }] of Object.entries(entries)) {
      if (name === '__metadata__') continue
      const type = TYPES.get(dtype)
      if (!type) throw broken(`${name} is of type ${dtype}`)
      const [begin, end] = range
      if (8 + length + end > size || end - begin !== byteLength(type, shape))
        throw broken(`${name} is cut off`)
      tensors.set(name, new Tensor(type, shape, await readAt(file, 8 + length + begin, end - begin)))
    }
    return tensors
  } finally {
    await file.close()
  }
}

function parsed(text: string): Record<string, Entry> | undefined {
  try {
    return JSON.parse(text) as Record<string, Entry>
  } catch {
    return undefined
  }
}

/** One read call moves at most this much. */
const PIECE = 1 << 30

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.from(new ArrayBuffer(length))
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(PIECE, length - done), position + done)
    if (bytesRead === 0) throw new ZooError('conflict', 'a checkpoint became shorter while it was read')
    done += bytesRead
  }
  return bytes
}
