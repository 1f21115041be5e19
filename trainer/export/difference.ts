/** How two runs of the same classifier differ. */
export interface Difference {
  /** Largest and mean difference of logits, relative to the largest logit in size. */
  readonly largest: number
  readonly mean: number
  /** Images whose largest logit is another class's. */
  readonly otherClass: number
}

/** Compares logits, one row for each image, with those of `reference`. */
export function differenceOf(reference: Float32Array, logits: Float32Array, classes: number): Difference {
  let [largest, sum, scale] = [0, 0, 0]
  reference.forEach((value, i) => {
    const difference = Math.abs(value - logits[i]!)
    // Math.max keeps a NaN.
    largest = Math.max(largest, difference)
    scale = Math.max(scale, Math.abs(value))
    sum += difference
  })
  let otherClass = 0
  for (let row = 0; row < reference.length; row += classes)
    if (topClass(reference, row, classes) !== topClass(logits, row, classes)) otherClass++
  const unit = Math.max(scale, Number.MIN_VALUE)
  return { largest: largest / unit, mean: sum / reference.length / unit, otherClass }
}

/** Squared L2 distance of the first `count` values, and squared norm of those of `reference`: of batches, they add up. */
export function squaredDistance(
  reference: Float32Array,
  values: Float32Array,
  count: number,
): { distance: number; norm: number } {
  let [distance, norm] = [0, 0]
  for (let i = 0; i < count; i++) {
    distance += (reference[i]! - values[i]!) ** 2
    norm += reference[i]! ** 2
  }
  return { distance, norm }
}

function topClass(logits: Float32Array, begin: number, classes: number): number {
  let best = 0
  for (let k = 1; k < classes; k++) if (logits[begin + k]! > logits[begin + best]!) best = k
  return best
}
