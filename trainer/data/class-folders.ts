import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { Tinypool } from 'tinypool'
import type { Batch } from '../../converters/data/dataset.ts'
import type { Key } from '../../converters/perturb/random.ts'
import { ZooError } from '../../manifests/error.ts'
import { moduleBeside, threadFlags } from '../../manifests/package.ts'
import type { PhotoRequest } from './photo.ts'
import type { TrainingSet } from './training-set.ts'

const PHOTO = /\.(jpe?g|png|webp|bmp|tiff?)$/i

interface Example {
  readonly path: string
  readonly label: number
}

/** Whether this is a folder of folders of photos, as ImageNet comes, and none of the forms with a list of labels. */
export async function isClassFolders(place: string): Promise<boolean> {
  if (!existsSync(place) || !(await stat(place)).isDirectory()) return false
  if (['labels.csv', 'dataset.json'].some((name) => existsSync(join(place, name)))) return false
  return (await readdir(place, { withFileTypes: true })).some((entry) => entry.isDirectory())
}

/**
 * A folder with a folder of photos for each class, named by it; classes are numbered in alphabetical order, as ImageNet's.
 * Photos are decoded in worker threads. The digest is that of the list of files with their sizes.
 *
 * @throws ZooError `invalid-data` without at least two classes, or without photos
 */
export async function openClassFolders(
  folder: string,
  size: readonly [height: number, width: number],
): Promise<TrainingSet> {
  const classes = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
  const hash = createHash('sha256').update(JSON.stringify([size, classes]))
  const examples: Example[] = []
  for (const [label, name] of classes.entries())
    for (const file of (await readdir(join(folder, name))).filter((file) => PHOTO.test(file)).sort()) {
      const path = join(folder, name, file)
      hash.update(`${name}/${file}:${(await stat(path)).size}\n`)
      examples.push({ path, label })
    }
  if (classes.length < 2 || examples.length === 0)
    throw new ZooError('invalid-data', `${folder} holds no photos in folders by class`)
  return new ClassFolders(basename(folder), hash.digest('hex'), examples, classes, size)
}

class ClassFolders implements TrainingSet {
  readonly name: string
  readonly sha256: string
  readonly size: number
  readonly shape: readonly [number, number, number]
  readonly classes: readonly string[]
  readonly #examples: readonly Example[]
  readonly #pool: Tinypool

  constructor(
    name: string,
    sha256: string,
    examples: readonly Example[],
    classes: readonly string[],
    [height, width]: readonly [number, number],
  ) {
    this.name = name
    this.sha256 = sha256
    this.size = examples.length
    this.shape = [3, height, width]
    this.classes = classes
    this.#examples = examples
    const worker = moduleBeside(import.meta.url, './photo-worker')
    this.#pool = new Tinypool({
      filename: worker.href,
      execArgv: threadFlags(worker),
      minThreads: 1,
      maxThreads: availableParallelism(),
    })
  }

  read(indices: readonly number[]): Promise<Batch> {
    return this.#read(indices, () => undefined)
  }

  readVaried(indices: readonly number[], key: Key): Promise<Batch> {
    return this.#read(indices, (index) => [...key, index])
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  async #read(indices: readonly number[], keyOf: (index: number) => Key | undefined): Promise<Batch> {
    const [, height, width] = this.shape
    const record = 3 * height * width
    const images = new Float32Array(indices.length * record)
    await Promise.all(
      indices.map(async (index, row) => {
        const { path } = this.#examples[index]!
        const request: PhotoRequest = { path, size: [height, width], key: keyOf(index) }
        images.set(await this.#decode(request), row * record)
      }),
    )
    return { images, labels: Int32Array.from(indices, (index) => this.#examples[index]!.label) }
  }

  async #decode(request: PhotoRequest): Promise<Float32Array> {
    try {
      return (await this.#pool.run(request)) as Float32Array
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      throw new ZooError('invalid-data', `${request.path} cannot be decoded: ${message}`, { cause: error })
    }
  }
}
