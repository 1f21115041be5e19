import { keyOf, words } from '../../converters/perturb/random.ts'

const ORDER = keyOf('order')

/** All indices below `size` in an order drawn for this epoch (Fisher & Yates). */
export function epochOrder(size: number, seed: number, epoch: number): Int32Array {
  const order = Int32Array.from({ length: size }, (_, i) => i)
  const drawn = words([seed, ORDER, epoch], size)
  for (let i = size - 1; i > 0; i--) {
    const j = drawn[i]! % (i + 1)
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}
