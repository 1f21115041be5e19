/** A batch of images in [0,1], NCHW, RGB or one grey channel, with labels as the data set numbers them. */
export interface Batch {
  readonly images: Float32Array
  readonly labels: Int32Array
  /** Where the data set gives each example a target class or a perturbation budget of its own. */
  readonly targets?: Int32Array
  readonly eps?: Float32Array
}

/**
 * Images with labels, read batch by batch so that memory stays bounded.
 * All implementations pass the suite in `test/converters/data/dataset.suite.ts`.
 */
export interface DataSet {
  readonly name: string
  /** Digest of everything that determines the images and labels. */
  readonly sha256: string
  readonly size: number
  /** Channels, height, width. */
  readonly shape: readonly [number, number, number]
  /** Class names, or null where the data set doesn't say. */
  readonly classes: readonly string[] | null
  read(indices: readonly number[]): Promise<Batch>
}
