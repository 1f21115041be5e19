import type { Batch, DataSet } from '../../converters/data/dataset.ts'
import type { Key } from '../../converters/perturb/random.ts'

/** A data set that may vary its images by itself, because it sees them before they are scaled. */
export interface TrainingSet extends DataSet {
  /** The examples, each varied as the key and its index say. */
  readVaried?(indices: readonly number[], key: Key): Promise<Batch>
  /** Ends whatever works for it. */
  close?(): Promise<void>
}
