import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import { type DatasetManifest, datasetManifestSchema, type Split } from '../../manifests/schema/dataset.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import { cifarImages } from './cifar.ts'
import type { DataSet } from './dataset.ts'
import { openIdx } from './idx.ts'
import { checkIndices, toUnit } from './records.ts'

/** Images as bytes in NCHW, read on demand, with all labels. */
export interface ByteImages {
  readonly labels: Uint8Array
  readImages(indices: readonly number[], target: Uint8Array): void
}

/**
 * Opens one split of a folder that `zoo data pull` made: `dataset.json` beside the files that it names.
 *
 * @throws ZooError `invalid-data` where a file is missing or not what the manifest says
 */
export function openKnown(folder: string, split: Split): DataSet {
  const card = join(folder, 'dataset.json')
  const manifest = parseAs(datasetManifestSchema, JSON.parse(readFileSync(card, 'utf8')), card)
  const part = manifest.splits[split]
  if (part === undefined)
    throw new ZooError('invalid-data', `${manifest.name} has no ${split} split`, {
      hint: `it has ${Object.keys(manifest.splits).join(' and ')}`,
    })
  const used = [...part.images, ...part.labels].map((path) => checkedFile(folder, manifest, path))
  const images = FORMATS[manifest.format](
    part.images.map((path) => join(folder, path)),
    part.labels.map((path) => join(folder, path)),
    manifest.shape,
  )
  checkLabels(manifest, split, images.labels, part.examples)
  const name = split === 'test' ? manifest.name : `${manifest.name}:${split}`
  const record = manifest.shape.reduce((product, extent) => product * extent, 1)
  return {
    name,
    sha256: createHash('sha256')
      .update(JSON.stringify([manifest.format, manifest.shape, used.map(({ sha256 }) => sha256)]))
      .digest('hex'),
    size: part.examples,
    shape: manifest.shape,
    classes: manifest.classes,
    async read(indices) {
      checkIndices(indices, part.examples, name)
      const bytes = new Uint8Array(indices.length * record)
      images.readImages(indices, bytes)
      return { images: toUnit(bytes), labels: Int32Array.from(indices, (index) => images.labels[index]!) }
    },
  }
}

type Shape = readonly [number, number, number]

const FORMATS: Record<
  DatasetManifest['format'],
  (images: readonly string[], labels: readonly string[], shape: Shape) => ByteImages
> = { idx: idxImages, cifar: (images) => cifarImages(images) }

function idxImages(
  [imagePath]: readonly string[],
  [labelPath]: readonly string[],
  [c, h, w]: Shape,
): ByteImages {
  const images = openIdx(imagePath!)
  const labelFile = openIdx(labelPath!)
  const [count = 0, height, width] = images.extents
  if (c !== 1 || height !== h || width !== w || labelFile.extents[0] !== count)
    throw new ZooError(
      'invalid-data',
      `${imagePath} and ${labelPath} don't hold ${h}x${w} images with a label each`,
    )
  const labels = new Uint8Array(count)
  labelFile.read([...labels.keys()], labels)
  return { labels, readImages: images.read }
}

function checkedFile(
  folder: string,
  manifest: DatasetManifest,
  path: string,
): DatasetManifest['files'][number] {
  const file = manifest.files.find((known) => known.path === path)!
  const found = statSync(join(folder, path), { throwIfNoEntry: false })
  if (found?.size === file.size) return file
  throw new ZooError('invalid-data', `${join(folder, path)} is ${found ? 'damaged' : 'missing'}`, {
    hint: `zoo data pull ${manifest.name}`,
  })
}

function checkLabels(manifest: DatasetManifest, split: string, labels: Uint8Array, examples: number): void {
  const classes = manifest.classes.length
  if (labels.length !== examples || labels.some((label) => label >= classes))
    throw new ZooError(
      'invalid-data',
      `the labels of ${manifest.name}:${split} are not ${examples} of ${classes} classes`,
    )
}
