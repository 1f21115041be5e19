import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import type { DataSet } from './dataset.ts'
import { checkLabelRange, type LabelRange } from './labels.ts'
import { NPY_HEAD, type NpyHeader, npyNumbers, parseNpyHeader } from './npy.ts'
import { checkIndices, readRecords, toUnit } from './records.ts'
import { readZip, type ZipMember, zipNames } from './zip.ts'

const ARRAYS = new Set(['x.npy', 'y.npy', 'target.npy', 'eps.npy'])

/**
 * An .npz archive with images `x` (uint8 in 0..255 or float32 in [0,1]; NHWC, NCHW, or NHW for grey) and labels `y`,
 * optionally `target` and `eps` per example. Stored images are read in place, batch by batch.
 *
 * @throws ZooError `invalid-data` for a missing array or one of another name, lengths that disagree, values outside [0,1], labels that are no
 * classes, no examples at all
 */
export async function openNpz(path: string, range: LabelRange): Promise<DataSet> {
  const unknown = zipNames(path).find((name) => !ARRAYS.has(name))
  if (unknown !== undefined)
    throw new ZooError(
      'invalid-data',
      `${path} has an array ${unknown.replace(/\.npy$/, '')}, which would be ignored`,
      {
        hint: 'it may hold x and y, and for each image target and eps, and nothing else',
      },
    )
  const members = readZip(path, ARRAYS)
  const images = openImages(path, members)
  const y = column(path, members, 'y', images.count)
  if (y === undefined) throw missing(path, 'y', 'the labels')
  const target = column(path, members, 'target', images.count)
  const eps = column(path, members, 'eps', images.count)
  const labels = wholeNumbers(path, 'y', y)
  const targets = target && wholeNumbers(path, 'target', target)
  checkLabelRange(labels, range, (i) => `y[${i}] of ${path}`)
  if (targets) checkLabelRange(targets, range, (i) => `target[${i}] of ${path}`)
  const badEps = eps?.findIndex((value) => !(value >= 0 && value <= Number.MAX_VALUE)) ?? -1
  if (badEps >= 0)
    throw new ZooError(
      'invalid-data',
      `eps[${badEps}] of ${path} is ${eps![badEps]}: eps is a fraction of [0,1]`,
    )
  images.checkValues()
  const name = basename(path, '.npz')
  return {
    name,
    sha256: await digestOf(path),
    size: images.count,
    shape: images.shape,
    classes: null,
    async read(indices) {
      checkIndices(indices, images.count, name)
      return {
        images: images.read(indices),
        labels: Int32Array.from(indices, (index) => labels[index]!),
        ...(targets ? { targets: Int32Array.from(indices, (index) => targets[index]!) } : {}),
        ...(eps ? { eps: Float32Array.from(indices, (index) => eps[index]!) } : {}),
      }
    },
  }
}

interface Images {
  readonly count: number
  readonly shape: readonly [number, number, number]
  read(indices: readonly number[]): Float32Array
  /** Reads everything once: what lies outside [0,1] is found now and not in the middle of an attack. */
  checkValues(): void
}

function openImages(path: string, members: ReadonlyMap<string, ZipMember>): Images {
  const member = members.get('x.npy')
  if (member === undefined) throw missing(path, 'x', 'the images')
  const header = parseNpyHeader(head(path, member), `x of ${path}`)
  const bytesPerElement = { u1: 1, f4: 4 }[header.type]
  if (bytesPerElement === undefined)
    throw new ZooError(
      'invalid-data',
      `x of ${path} has elements of type ${header.type}, not uint8 or float32`,
      {
        hint: 'save x.astype(np.float32) with values in [0,1], or uint8 with values in 0..255',
      },
    )
  const { count, shape, channelsLast } = layoutOf(path, header)
  const elements = shape[0] * shape[1] * shape[2]
  const stride = elements * bytesPerElement
  const size = member.kind === 'stored' ? member.size : member.bytes.length
  if (size !== header.length + count * stride) throw new ZooError('invalid-data', `x of ${path} is cut off`)
  const raw = (indices: readonly number[]): Uint8Array => {
    const bytes = new Uint8Array(indices.length * stride)
    if (member.kind === 'stored')
      readRecords({ path, offset: member.offset + header.length, stride, count }, indices, 0, stride, bytes)
    else
      for (const [i, index] of indices.entries())
        bytes.set(
          member.bytes.subarray(header.length + index * stride, header.length + (index + 1) * stride),
          i * stride,
        )
    return bytes
  }
  const values = (indices: readonly number[]): Float32Array =>
    header.type === 'u1' ? toUnit(raw(indices)) : new Float32Array(raw(indices).buffer)
  return {
    count,
    shape,
    read: (indices) => (channelsLast ? toPlanes(values(indices), indices.length, shape) : values(indices)),
    checkValues() {
      if (header.type === 'u1') return
      const block = Math.max(1, Math.floor(4e6 / elements))
      for (let first = 0; first < count; first += block)
        checkUnit(values(range(first, Math.min(count, first + block))), path, first, elements)
    },
  }
}

/** Which axis holds the channels. */
function layoutOf(
  path: string,
  { shape }: NpyHeader,
): {
  count: number
  shape: [number, number, number]
  channelsLast: boolean
} {
  const [count = 0, a = 0, b = 0, c] = shape
  if (count === 0 && shape.length > 0) throw new ZooError('invalid-data', `x of ${path} holds no images`)
  const isChannels = (extent: number | undefined): boolean => extent === 1 || extent === 3
  if (shape.length === 3 && a * b > 0) return { count, shape: [1, a, b], channelsLast: false }
  if (shape.length === 4 && a * b * c! > 0) {
    if (isChannels(a) && !isChannels(c)) return { count, shape: [a, b, c!], channelsLast: false }
    if (isChannels(c) && !isChannels(a)) return { count, shape: [c!, a, b], channelsLast: true }
  }
  throw new ZooError(
    'invalid-data',
    `x of ${path} has shape (${shape.join(', ')}), which is not clearly images`,
    {
      hint: 'x is [N,H,W,C] or [N,C,H,W] with 1 or 3 channels, or [N,H,W] for grey images',
    },
  )
}

function toPlanes(
  values: Float32Array,
  count: number,
  [channels, height, width]: readonly [number, number, number],
) {
  const pixels = height * width
  const planes = new Float32Array(values.length)
  for (let n = 0; n < count; n++)
    for (let p = 0; p < pixels; p++)
      for (let c = 0; c < channels; c++)
        planes[(n * channels + c) * pixels + p] = values[(n * pixels + p) * channels + c]!
  return planes
}

function checkUnit(values: Float32Array, path: string, first: number, elements: number): void {
  const wrong = values.findIndex((value) => !(value >= 0 && value <= 1))
  if (wrong < 0) return
  const value = values[wrong]!
  const hint = Number.isNaN(value)
    ? 'find where the NaN comes from'
    : value > 1
      ? 'images go from 0 to 1: divide by 255, or save them as uint8'
      : 'images go from 0 to 1: undo the normalisation here and tell it to the command with --mean and --std'
  throw new ZooError('invalid-data', `x[${first + Math.floor(wrong / elements)}] of ${path} holds ${value}`, {
    hint,
  })
}

function column(
  path: string,
  members: ReadonlyMap<string, ZipMember>,
  name: string,
  count: number,
): number[] | undefined {
  const member = members.get(`${name}.npy`)
  if (member === undefined) return undefined
  const bytes = member.kind === 'inflated' ? member.bytes : slice(path, member.offset, member.size)
  const header = parseNpyHeader(bytes, `${name} of ${path}`)
  if (header.shape.reduce((product, extent) => product * extent, 1) !== count || header.shape[0] !== count)
    throw new ZooError(
      'invalid-data',
      `${name} of ${path} has shape (${header.shape.join(', ')}) for ${count} images`,
      {
        hint: `x and ${name} need one entry for each image`,
      },
    )
  return npyNumbers(bytes, header, `${name} of ${path}`)
}

function wholeNumbers(path: string, name: string, values: readonly number[]): Int32Array {
  const wrong = values.findIndex((value) => !Number.isInteger(value) || Math.abs(value) >= 2 ** 31)
  if (wrong >= 0)
    throw new ZooError(
      'invalid-data',
      `${name}[${wrong}] of ${path} is ${values[wrong]}, not a class number`,
      {
        hint: 'labels are class numbers, not one-hot rows or probabilities',
      },
    )
  return Int32Array.from(values)
}

const head = (path: string, member: ZipMember): Buffer =>
  member.kind === 'inflated'
    ? member.bytes.subarray(0, NPY_HEAD)
    : slice(path, member.offset, Math.min(NPY_HEAD, member.size))

function slice(path: string, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  readRecords({ path, offset, stride: length, count: 1 }, [0], 0, length, bytes)
  return bytes
}

const range = (first: number, end: number): number[] =>
  Array.from({ length: end - first }, (_, i) => first + i)

const missing = (path: string, array: string, what: string): ZooError =>
  new ZooError('invalid-data', `${path} has no array ${array} (${what})`, {
    hint: 'save it with np.savez(path, x=images, y=labels)',
  })

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
