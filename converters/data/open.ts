import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import type { Split } from '../../manifests/schema/dataset.ts'
import type { DataSet } from './dataset.ts'
import { openImageFolder } from './image-folder.ts'
import { openKnown } from './known.ts'
import { openNpz } from './npz.ts'
import { type Resampling, resized } from './resize.ts'

export interface OpenOptions {
  /** Height and width that the images should have: they are resized once, here. */
  readonly size?: readonly [number, number] | undefined
  readonly resize?: Resampling | undefined
  /** How many classes the model has, so that a label beyond them is found before anything runs. */
  readonly classes?: number | undefined
  /** The model's class is the label plus this; labels and targets stay as the data set numbers them. */
  readonly labelOffset?: number | undefined
  /** Where the folder of a data set known by name is; whoever can download gives a function that does. */
  readonly locate?: ((name: string) => Promise<string>) | undefined
}

/**
 * Opens DATA: a known data set's name or the folder that it was pulled into, both with an optional `:train` (the test
 * split is the default), a folder of images with `labels.csv`, or an `.npz` file.
 *
 * @throws ZooError `not-found` where there is no such data, `invalid-data` where it is not usable, saying what to do
 */
export async function openData(spec: string, options: OpenOptions = {}): Promise<DataSet> {
  const resampling = options.resize ?? 'bicubic'
  const whole = /^(?<place>.+?)(?::(?<split>train|test))?$/s.exec(spec)?.groups
  const place = whole?.place ?? spec
  const split = (whole?.split ?? 'test') as Split
  const path = resolve(place)
  const labels = { classes: options.classes, labelOffset: options.labelOffset }
  if (existsSync(path)) {
    if (existsSync(join(path, 'dataset.json'))) return sized(openKnown(path, split), options, resampling)
    if (whole?.split !== undefined) throw new ZooError('usage', `${place} has no splits: leave out :${split}`)
    if (statSync(path).isDirectory())
      return openImageFolder(path, { size: options.size, resize: resampling, ...labels })
    if (path.endsWith('.npz')) return sized(await openNpz(path, labels), options, resampling)
    throw new ZooError('invalid-data', `${place} is not data that the zoo can read`, { hint: FORMS })
  }
  if (/[/\\]|\.npz$/.test(place)) throw new ZooError('not-found', `there is no ${place}`, { hint: FORMS })
  if (options.locate === undefined)
    throw new ZooError('not-found', `the data set ${place} is known by name only`, {
      hint: `zoo data pull ${place}`,
    })
  return sized(openKnown(await options.locate(place), split), options, resampling)
}

const FORMS = 'data is a name of zoo data list, a folder of images with labels.csv, or an .npz with x and y'

const sized = (data: DataSet, { size }: OpenOptions, resampling: Resampling): DataSet =>
  size === undefined ? data : resized(data, size, resampling)
