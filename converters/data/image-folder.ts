import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join, normalize } from 'node:path'
import pLimit from 'p-limit'
import sharp from 'sharp'
import { ZooError } from '../../manifests/error.ts'
import { parseCsv } from './csv.ts'
import type { Batch, DataSet } from './dataset.ts'
import { checkLabelRange, type LabelRange } from './labels.ts'
import { checkIndices } from './records.ts'
import { FIT, KERNELS, type Resampling } from './resize.ts'

export interface ImageFolderOptions extends LabelRange {
  readonly size?: readonly [number, number] | undefined
  readonly resize: Resampling
}

interface Row {
  readonly file: string
  readonly label: number
  readonly target: number | undefined
  readonly eps: number | undefined
}

/**
 * A folder of images with `labels.csv`: columns `file` and `label`, optionally `target` and `eps`; others are ignored.
 * The files lie beside it, or in a folder `images` there.
 * Images are RGB, or grey where every one of them is; alpha is dropped, and pixels are taken as they are stored,
 * whatever the orientation tag says, as other evaluations do.
 *
 * @throws ZooError `invalid-data` for a missing image, images of several sizes with no `size` to bring them to, labels
 * that are no classes
 */
export async function openImageFolder(folder: string, options: ImageFolderOptions): Promise<DataSet> {
  const rows = placed(folder, readRows(join(folder, 'labels.csv')))
  checkLabels(rows, options)
  const facts = await inspect(folder, rows)
  const [height, width] = options.size ?? commonSize(rows, facts)
  const channels = facts.every(({ grey }) => grey) ? 1 : 3
  const record = channels * height * width
  const name = basename(folder)
  const shape = [channels, height, width] as const
  return {
    name,
    sha256: createHash('sha256')
      .update(JSON.stringify([shape, options.resize, rows, facts.map(({ sha256 }) => sha256)]))
      .digest('hex'),
    size: rows.length,
    shape,
    classes: null,
    async read(indices) {
      checkIndices(indices, rows.length, name)
      const images = new Float32Array(indices.length * record)
      const decode = async (index: number, i: number): Promise<void> => {
        const planes = await decodeImage(join(folder, rows[index]!.file), shape, options.resize)
        images.set(planes, i * record)
      }
      await Promise.all(indices.map(decode))
      return { images, ...answers(indices.map((index) => rows[index]!)) }
    },
  }
}

function answers(rows: readonly Row[]): Omit<Batch, 'images'> {
  const has = (field: 'target' | 'eps'): boolean => rows.every((row) => row[field] !== undefined)
  return {
    labels: Int32Array.from(rows, ({ label }) => label),
    ...(has('target') ? { targets: Int32Array.from(rows, ({ target }) => target!) } : {}),
    ...(has('eps') ? { eps: Float32Array.from(rows, ({ eps }) => eps!) } : {}),
  }
}

function readRows(path: string): Row[] {
  if (!existsSync(path))
    throw new ZooError('invalid-data', `${path} is missing`, {
      hint: 'write one line for each image: file,label (and optionally target), with that header',
    })
  const { columns, rows } = parseCsv(readFileSync(path, 'utf8'))
  for (const column of ['file', 'label'])
    if (!columns.includes(column))
      throw new ZooError('invalid-data', `${path} has no column ${column}`, {
        hint: `its first line names the columns: file,label (found: ${columns.join(',')})`,
      })
  if (rows.length === 0) throw new ZooError('invalid-data', `${path} names no image`)
  return rows.map((row, i) => {
    const where = `${path}, line ${i + 2}`
    const { file = '' } = row
    if (file === '' || /^[/\\]|^[A-Za-z]:/.test(file) || file.split(/[/\\]/).includes('..'))
      throw new ZooError('invalid-data', `${where}: ${JSON.stringify(file)} is not a file inside the folder`)
    const label = field(row.label, where, 'label')
    if (label === undefined) throw new ZooError('invalid-data', `${where}: the label is missing`)
    return { file, label, target: field(row.target, where, 'target'), eps: field(row.eps, where, 'eps') }
  })
}

/** The rows with each file's path in the folder. */
function placed(folder: string, rows: readonly Row[]): Row[] {
  return rows.map((row) => {
    const file = [row.file, join('images', row.file)]
      .map(normalize)
      .find((path) => existsSync(join(folder, path)))
    if (file !== undefined) return { ...row, file }
    throw new ZooError('invalid-data', `labels.csv names ${row.file}, which is not in ${folder}`)
  })
}

function field(
  text: string | undefined,
  where: string,
  column: 'label' | 'target' | 'eps',
): number | undefined {
  if (text === undefined || text.trim() === '') return undefined
  const value = Number(text)
  if (column === 'eps' ? value >= 0 : Number.isInteger(value)) return value
  const wanted = column === 'eps' ? 'a fraction of [0,1]' : 'a whole number'
  throw new ZooError('invalid-data', `${where}: ${column} ${JSON.stringify(text)} is not ${wanted}`)
}

function checkLabels(rows: readonly Row[], range: LabelRange): void {
  checkLabelRange(
    Int32Array.from(rows, ({ label }) => label),
    range,
    (i) => `label of ${rows[i]!.file}`,
  )
  for (const column of ['target', 'eps'] as const) {
    const given = rows.filter((row) => row[column] !== undefined)
    if (given.length !== 0 && given.length !== rows.length)
      throw new ZooError(
        'invalid-data',
        `${rows.length - given.length} of ${rows.length} images have no ${column}`,
        {
          hint: `fill the column ${column} of labels.csv in every line, or leave it out`,
        },
      )
    if (column === 'target' && given.length > 0)
      checkLabelRange(
        Int32Array.from(given, ({ target }) => target!),
        range,
        (i) => `target of ${given[i]!.file}`,
      )
  }
}

interface ImageFacts {
  readonly height: number
  readonly width: number
  readonly grey: boolean
  readonly sha256: string
}

const FILES_AT_ONCE = 8

/** Size, channels and digest of every image, in one pass over the files. */
function inspect(folder: string, rows: readonly Row[]): Promise<ImageFacts[]> {
  return pLimit(FILES_AT_ONCE).map(rows, async ({ file }) => {
    const bytes = await readFile(join(folder, file))
    const { height, width, channels } = await sharp(bytes)
      .metadata()
      .catch((error: Error) => {
        throw new ZooError('invalid-data', `${join(folder, file)} is not an image: ${error.message}`)
      })
    return { height, width, grey: channels < 3, sha256: createHash('sha256').update(bytes).digest('hex') }
  })
}

function commonSize(rows: readonly Row[], facts: readonly ImageFacts[]): [number, number] {
  const { height, width } = facts[0]!
  const other = facts.findIndex((fact) => fact.height !== height || fact.width !== width)
  if (other < 0) return [height, width]
  const sizes = `${rows[0]!.file} is ${height}x${width} and ${rows[other]!.file} ${facts[other]!.height}x${facts[other]!.width}`
  throw new ZooError('invalid-data', `the images differ in size: ${sizes}`, {
    hint: 'say which size the model takes: --size HxW',
  })
}

/** One image as planes in [0,1]. */
async function decodeImage(
  path: string,
  [channels, height, width]: readonly [number, number, number],
  resampling: Resampling,
): Promise<Float32Array> {
  const { data, info } = await sharp(path)
    .removeAlpha()
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .resize(width, height, { ...FIT, kernel: KERNELS[resampling] })
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((error: Error) => {
      throw new ZooError('invalid-data', `${path} cannot be read: ${error.message}`)
    })
  const pixels = height * width
  const planes = new Float32Array(channels * pixels)
  for (let c = 0; c < channels; c++)
    for (let p = 0; p < pixels; p++)
      planes[c * pixels + p] = data[p * info.channels + Math.min(c, info.channels - 1)]! / 255
  return planes
}
