import type { Batch } from '../../converters/data/dataset.ts'
import { Tensor } from '../../converters/onnx/tensor.ts'
import { type Key, keyOf } from '../../converters/perturb/random.ts'
import { ZooError } from '../../manifests/error.ts'
import type { Recipe } from '../../manifests/schema/recipe.ts'
import type { TrainingBatch } from '../methods/method.ts'
import { augmentation } from './augment.ts'
import { epochOrder } from './order.ts'
import type { TrainingSet } from './training-set.ts'

const AUGMENT = keyOf('augment')

/**
 * The batches of a run by their number, so that resuming is asking for the next one. Every epoch has an order of its own;
 * examples that don't fill a last batch wait for another epoch.
 */
export class Batches {
  readonly perEpoch: number
  readonly #data: TrainingSet
  readonly #size: number
  readonly #seed: number
  readonly #augmentation: Recipe['data']['augmentation']
  #order: { epoch: number; indices: Int32Array } | undefined
  #ahead: { step: number; batch: Promise<TrainingBatch> } | undefined

  /** @throws ZooError `invalid-data` when the data set is smaller than one batch or cannot be varied so */
  constructor(data: TrainingSet, size: number, seed: number, augmentation: Recipe['data']['augmentation']) {
    if (augmentation === 'imagenet' && !data.readVaried)
      throw new ZooError('invalid-data', `${data.name} has no photos to vary`, {
        hint: 'the imagenet augmentation is for a folder with a folder of photos for each class',
      })
    if (data.size < size)
      throw new ZooError(
        'invalid-data',
        `${data.name} has ${data.size} examples, fewer than a batch of ${size}`,
      )
    this.#data = data
    this.#size = size
    this.#seed = seed
    this.#augmentation = augmentation
    this.perEpoch = Math.floor(data.size / size)
  }

  /** Batch number `step`; the one after it is read ahead. */
  async at(step: number): Promise<TrainingBatch> {
    const batch = this.#ahead?.step === step ? this.#ahead.batch : this.#read(step)
    const ready = await batch
    const ahead = this.#read(step + 1)
    // A failure belongs to whoever asks for that batch.
    ahead.catch(() => {})
    this.#ahead = { step: step + 1, batch: ahead }
    return ready
  }

  async #read(step: number): Promise<TrainingBatch> {
    const epoch = Math.floor(step / this.perEpoch)
    if (this.#order?.epoch !== epoch)
      this.#order = { epoch, indices: epochOrder(this.#data.size, this.#seed, epoch) }
    const begin = (step % this.perEpoch) * this.#size
    const examples = Array.from(this.#order.indices.subarray(begin, begin + this.#size))
    const { images, labels } = await this.#varied(examples, [this.#seed, AUGMENT, epoch])
    return { images: Tensor.float32([this.#size, ...this.#data.shape], images), labels, examples, step }
  }

  async #varied(examples: readonly number[], key: Key): Promise<Batch> {
    if (this.#augmentation === 'imagenet') return this.#data.readVaried!(examples, key)
    const batch = await this.#data.read(examples)
    const images = augmentation(this.#augmentation)(batch.images, this.#data.shape, examples, key)
    return { ...batch, images }
  }
}
