import { ascendSparsely, l1 } from '../../../converters/perturb/l1.ts'
import type { Gait } from './walk.ts'

/** Share of the elements that the first steps move. */
const FIRST_SPARSITY = 0.2
/** The next steps move so many times fewer elements than the best point has moved. */
const SPARSER_BY = 1.5
/** The step is divided by this where the sparsity stands still, and never becomes smaller than a radius over `SMALLEST`. */
const SHRINK = 1.5
const SMALLEST = 10
/** Sparsity counts as changed when the best point moves fewer than 95 % of the elements that it moved before. */
const CHANGED = 0.95

/**
 * The gait for L1 (Croce & Hein, "Mind the box", 2021, algorithm 1): steps along the sign of the gradient's largest
 * elements, without momentum. If the best point became sparser since the last checkpoint, the walk starts again
 * from it with the full step; else the step is shortened.
 */
export const sparse: Gait = {
  /** Windows of 4 % of the iterations, all alike. */
  checkpoints(iterations) {
    const window = Math.max(Math.floor(0.04 * iterations), 1)
    return new Set(Array.from({ length: Math.floor(iterations / window) }, (_, i) => (i + 1) * window))
  },

  begin({ radius, x, example: { origin } }, warm) {
    let before = warm ? movedElements(x, origin) : x.length
    let share = warm ? before / SPARSER_BY : FIRST_SPARSITY * x.length
    let step = radius
    return {
      advance({ x, previous, gradient }) {
        previous.set(x)
        ascendSparsely(x, gradient, step, Math.min(Math.max(Math.ceil(share), 1), x.length))
        l1.project(x, origin, radius)
      },

      note() {},

      turn({ best }) {
        const now = movedElements(best, origin)
        const changed = now / before < CHANGED
        step = Math.max(changed ? radius : step / SHRINK, radius / SMALLEST)
        share = now / SPARSER_BY
        before = now
        return changed
      },
    }
  },
}

function movedElements(x: Float32Array, origin: Float32Array): number {
  let count = 0
  for (let i = 0; i < x.length; i++) if (x[i] !== origin[i]) count++
  return count
}
