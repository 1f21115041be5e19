import type { Checkpoint } from './state.ts'

/** Share of steps in a window that must increase the loss for the step to keep its length. */
const RHO = 0.75

/**
 * Iterations at which Auto-PGD may halve its step (Croce & Hein 2020, section 3): windows of 22 % of the iterations,
 * then 3 % less each time but never less than 6 %. For 100 iterations: 22, 41, 57, 70, 80, 87, 93, 99.
 */
export function checkpoints(iterations: number): Set<number> {
  const share = (percent: number) => Math.max(Math.floor(percent * iterations), 1)
  const ends = new Set<number>()
  let window = share(0.22)
  for (let end = window; end <= iterations; end += window) {
    ends.add(end)
    window = Math.max(window - share(0.03), share(0.06))
  }
  return ends
}

/**
 * The published rule for Linf and L2: halve the step and go back to the best point if
 * 1. the loss grew in at most 75 % of the window's steps, or
 * 2. the step wasn't halved at the last checkpoint and the best loss hasn't grown since; off at the first checkpoint.
 *
 * The first window's oldest comparison is against 0, as in the authors' code, whose index wraps around to a row
 * that is still empty: a cross-entropy, always positive, counts as grown.
 */
export function halving(initialLoss: number): Checkpoint {
  let last = 0
  let grown = 0
  let length = 0
  let reduced = true
  let bestBefore = initialLoss
  return {
    note(loss) {
      if (loss > last) grown++
      length++
      last = loss
    },
    due(walk) {
      const oscillates = grown <= RHO * length
      const stuck = !reduced && bestBefore >= walk.bestLoss
      reduced = oscillates || stuck
      bestBefore = walk.bestLoss
      grown = 0
      length = 0
      if (reduced) walk.step /= 2
      return reduced
    },
  }
}
