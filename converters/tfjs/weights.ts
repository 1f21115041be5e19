import { createHash } from 'node:crypto'
import { readFile, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, sep } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import { fromFloat16 } from '../onnx/half.ts'
import { sizeOf, Tensor } from '../onnx/tensor.ts'
import type { ModelJson, WeightSpec } from './manifest.ts'

/** A file that a model was read from. */
export interface SourceFile {
  readonly path: string
  readonly size: number
  readonly sha256: string
}

export const sourceFile = (path: string, bytes: Uint8Array): SourceFile => ({
  path,
  size: bytes.byteLength,
  sha256: createHash('sha256').update(bytes).digest('hex'),
})

export interface Weights {
  readonly tensors: ReadonlyMap<string, Tensor>
  /** The shards one after the other, as tfjs wants them. */
  readonly bytes: Uint8Array
  readonly files: readonly SourceFile[]
}

/**
 * Reads all weights of a model from the shards beside its model.json, which must hold exactly as many bytes as the
 * manifest says and must lie in that folder.
 *
 * @throws ZooError `integrity` for missing or extra bytes, `invalid-model` for a path that leads elsewhere, `not-found`
 */
export async function readWeights(
  manifest: ModelJson['weightsManifest'],
  modelPath: string,
): Promise<Weights> {
  const folder = await realpath(dirname(modelPath))
  const tensors = new Map<string, Tensor>()
  const files: SourceFile[] = []
  const groups: Uint8Array[] = []
  for (const { paths, weights } of manifest) {
    const shards = await Promise.all(paths.map((path) => readShard(folder, path)))
    files.push(...shards.map((bytes, i) => sourceFile(paths[i]!, bytes)))
    const bytes = shards.length === 1 ? shards[0]! : new Uint8Array(Buffer.concat(shards))
    groups.push(bytes)
    let offset = 0
    for (const spec of weights) {
      const length = storedLength(spec, bytes, offset)
      if (offset + length > bytes.byteLength)
        throw wrongLength(paths, bytes.byteLength, `${spec.name} ends at ${offset + length}`)
      if (tensors.has(spec.name)) throw new ZooError('invalid-model', `two weights are called ${spec.name}`)
      tensors.set(spec.name, decode(spec, bytes.slice(offset, offset + length)))
      offset += length
    }
    if (offset !== bytes.byteLength)
      throw wrongLength(paths, bytes.byteLength, `the manifest accounts for ${offset}`)
  }
  const bytes = groups.length === 1 ? groups[0]! : new Uint8Array(Buffer.concat(groups))
  return { tensors, bytes, files }
}

const wrongLength = (paths: readonly string[], length: number, expected: string): ZooError =>
  new ZooError('integrity', `weights ${paths.join(', ')} hold ${length} bytes, but ${expected}`, {
    hint: 'fetch the files again: one may be cut off or belong to another model',
  })

async function readShard(folder: string, path: string): Promise<Uint8Array> {
  const outside = new ZooError('invalid-model', `weights ${path} lie outside the model's folder`)
  if (isAbsolute(path) || /^[a-z]+:/i.test(path)) throw outside
  try {
    const real = await realpath(join(folder, path))
    const within = relative(folder, real)
    if (within === '' || within === '..' || within.startsWith(`..${sep}`) || isAbsolute(within)) throw outside
    const { buffer, byteOffset, byteLength } = await readFile(real)
    return new Uint8Array(buffer, byteOffset, byteLength)
  } catch (cause) {
    if (cause === outside) throw outside
    throw new ZooError('not-found', `weights ${path} cannot be read beside the model.json`, { cause })
  }
}

const WIDTHS = { float32: 4, int32: 4, bool: 1, complex64: 8, uint8: 1, uint16: 2, float16: 2 } as const

/** Bytes that a weight takes in its shard. Strings are a 32-bit length and the text, each. */
function storedLength({ shape, dtype, quantization }: WeightSpec, bytes: Uint8Array, offset: number): number {
  const stored = quantization?.dtype ?? dtype
  if (stored !== 'string') return sizeOf(shape) * WIDTHS[stored]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let length = 4 * sizeOf(shape)
  for (let i = 0, at = offset; i < sizeOf(shape) && offset + length <= bytes.byteLength; i++) {
    const text = view.getUint32(at, true)
    length += text
    at += 4 + text
  }
  return length
}

/** One weight in the type in which tfjs computes with it. `bytes` is the caller's own copy, so that views of it are aligned. */
function decode({ name, shape, dtype, quantization }: WeightSpec, bytes: Uint8Array): Tensor {
  if (quantization === undefined) {
    if (dtype === 'string') return new Tensor('string', shape, new Uint8Array(), texts(bytes, sizeOf(shape)))
    return new Tensor(dtype, shape, bytes)
  }
  if (dtype !== 'float32' && dtype !== 'int32')
    throw new ZooError('invalid-model', `weight ${name} is of type ${dtype}, which is never quantised`)
  const codes = quantization.dtype === 'uint8' ? bytes : words(bytes)
  const { min, scale } = quantization
  if (quantization.dtype === 'float16') return Tensor.float32(shape, halves(codes))
  if (min === undefined || scale === undefined)
    throw new ZooError('invalid-model', `weight ${name} is quantised without a range`)
  const exact = (code: number): number => code * scale + min
  return dtype === 'float32'
    ? Tensor.float32(shape, mapped(codes, new Float32Array(codes.length), exact))
    : Tensor.of(
        'int32',
        shape,
        mapped(codes, new Int32Array(codes.length), (code) => Math.round(exact(code))),
      )
}

/** Texts, each behind its length. */
function texts(bytes: Uint8Array, count: number): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let offset = 0
  return Array.from({ length: count }, () => {
    const start = offset + 4
    offset = start + view.getUint32(offset, true)
    return new TextDecoder().decode(bytes.subarray(start, offset))
  })
}

/** What `TypedArray.from` does, forty times faster. */
function mapped<T extends Float32Array | Int32Array>(
  codes: Uint8Array | Uint16Array,
  result: T,
  decode: (code: number) => number,
): T {
  for (let i = 0; i < codes.length; i++) result[i] = decode(codes[i]!)
  return result
}

/** There are no more than 65536 of them. */
function halves(codes: Uint8Array | Uint16Array): Float32Array {
  const values = Float32Array.from({ length: 1 << 16 }, (_, bits) => fromFloat16(bits))
  return mapped(codes, new Float32Array(codes.length), (code) => values[code]!)
}

const words = (bytes: Uint8Array): Uint16Array =>
  new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
