import type { Norm } from '../../../converters/perturb/norm.ts'
import type { Gait } from './walk.ts'

/** First step, in radii. */
const FIRST_STEP = 2
/** Share of the plain step in the next point; the rest is the last move: x' = P(x + .75 (u - x) + .25 (x - previous)). */
const NEW_SHARE = 0.75
/** Share of steps in a window that must increase the loss for the step to keep its length. */
const RHO = 0.75

/**
 * The published gait for Linf and L2 (Croce & Hein 2020, section 3.2 and algorithm 1). At a checkpoint the step is
 * halved, and the walk starts again from its best point, if
 * 1. the loss grew in at most 75 % of the window's steps, or
 * 2. the step wasn't halved at the last checkpoint and the best loss hasn't grown since; off at the first checkpoint.
 *
 * The first window's oldest comparison is against 0, as in the authors' code, whose index wraps around to a row
 * that is still empty: a cross-entropy, always positive, counts as grown.
 */
export const halving = (norm: Norm): Gait => ({
  checkpoints: shrinkingWindows,

  begin({ radius, bestLoss, x }) {
    const plain = new Float32Array(x.length)
    let step = FIRST_STEP * radius
    let first = true
    let lastLoss = 0
    let grown = 0
    let length = 0
    let reduced = true
    let bestBefore = bestLoss
    return {
      advance({ x, previous, gradient, example: { origin } }) {
        plain.set(x)
        norm.ascend(plain, gradient, step)
        norm.project(plain, origin, radius)
        const share = first ? 1 : NEW_SHARE
        first = false
        for (let i = 0; i < x.length; i++) {
          const here = x[i]!
          x[i] = here + share * (plain[i]! - here) + (1 - share) * (here - previous[i]!)
          previous[i] = here
        }
        norm.project(x, origin, radius)
      },

      note(loss) {
        if (loss > lastLoss) grown++
        length++
        lastLoss = loss
      },

      turn({ bestLoss }) {
        const oscillates = grown <= RHO * length
        const stuck = !reduced && bestBefore >= bestLoss
        reduced = oscillates || stuck
        bestBefore = bestLoss
        grown = 0
        length = 0
        if (reduced) step /= 2
        return reduced
      },
    }
  },
})

/** Windows of 22 % of the iterations, then 3 % less each time, but never less than 6 %. Of 100: 22, 41, 57, 70, 80, 87, 93, 99. */
export function shrinkingWindows(iterations: number): Set<number> {
  const share = (part: number) => Math.max(Math.floor(part * iterations), 1)
  const ends = new Set<number>()
  let window = share(0.22)
  for (let end = window; end <= iterations; end += window) {
    ends.add(end)
    window = Math.max(window - share(0.03), share(0.06))
  }
  return ends
}
