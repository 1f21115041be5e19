import { type BigIntStats, realpathSync, statSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import type { OpenExternal } from './codec/tensor.ts'
import { copyRange, type FileRange, versionOf, writeAt } from './file-range.ts'
import type { Model } from './graph.ts'
import type { Tensor } from './tensor.ts'

/** Smaller tensors stay in the model's file: shapes, axes and biases are better seen there. */
const SMALLEST = 4096
/** Offsets are multiples of a page, so that runtimes can map the file. */
const ALIGNMENT = 4096

/**
 * Finds the external data of the model at `path`. The entry comes from the file and may be hostile: it must name a
 * regular file inside the model's folder, symbolic links resolved, that holds the whole range.
 * (In caches where model and data are links into one folder of blobs, that folder counts as the model's as well.)
 */
export function externalDataOf(path: string): OpenExternal {
  const folders = [realpathSync(dirname(path)), dirname(realpathSync(path))]
  const known = new Map<string, { path: string; stats: BigIntStats }>()
  const open = (location: string) => {
    if (
      location === '' ||
      location.includes('\0') ||
      isAbsolute(location) ||
      /(^|[\\/])\.\.([\\/]|$)/.test(location)
    )
      throw refused(location, 'is not a path inside the folder of the model')
    let real: string
    try {
      real = realpathSync(resolve(dirname(path), location))
    } catch (cause) {
      throw new ZooError('not-found', `external data "${location}" is not beside the model`, {
        hint: 'download it into the same folder, under that name',
        cause,
      })
    }
    if (!folders.some((folder) => inside(folder, real)))
      throw refused(location, 'leads out of the folder of the model')
    const stats = statSync(real, { bigint: true })
    if (!stats.isFile()) throw refused(location, 'is not a file')
    return { path: real, stats }
  }
  return (entry, length): FileRange => {
    const location = entry.get('location') ?? ''
    const file = known.get(location) ?? open(location)
    known.set(location, file)
    const offset = wholeNumber(entry.get('offset') ?? '0', location)
    const stated = entry.get('length')
    if (stated !== undefined && wholeNumber(stated, location) !== length)
      throw refused(location, `gives ${stated} bytes to a tensor that takes ${length}`)
    if (offset + length > Number(file.stats.size))
      throw refused(
        location,
        `has ${file.stats.size} bytes, but the tensor's lie at ${offset} to ${offset + length}`,
      )
    return { path: file.path, offset, length, version: versionOf(file.stats) }
  }
}

const inside = (folder: string, path: string): boolean => {
  const way = relative(folder, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

function wholeNumber(text: string, location: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw refused(location, `has an offset or length that is no number: "${text.slice(0, 40)}"`)
  return value
}

const refused = (location: string, why: string): ZooError =>
  new ZooError('invalid-model', `external data "${location.slice(0, 200)}" ${why}`)

/** The offset at which each weight goes into a file of external data. Weights that two names share are stored once. */
export type Layout = ReadonlyMap<Tensor, number>

export function layOut(model: Model): Layout {
  const places = new Map<Tensor, number>()
  let end = 0
  for (const tensor of model.graph.initializers.values()) {
    const length = storedLength(tensor)
    if (length < SMALLEST || places.has(tensor)) continue
    places.set(tensor, end)
    end += Math.ceil(length / ALIGNMENT) * ALIGNMENT
  }
  return places
}

/** Writes the weights one after another; those that lie in files themselves pass through without being loaded. */
export async function writeExternal(layout: Layout, file: FileHandle): Promise<void> {
  for (const [tensor, offset] of layout) {
    if (tensor.file) await copyRange(tensor.file, file, offset)
    else await writeAt(file, tensor.bytes, offset)
  }
}

/** The entry that the model's file keeps for a tensor. */
export const externalEntry = (
  location: string,
  offset: number,
  tensor: Tensor,
): ReadonlyMap<string, string> =>
  new Map([
    ['location', location],
    ['offset', `${offset}`],
    ['length', `${storedLength(tensor)}`],
  ])

/** Bytes that a tensor takes, without reading them. Strings never leave the model's file. */
export const storedLength = (tensor: Tensor): number => tensor.file?.length ?? tensor.bytes.byteLength
