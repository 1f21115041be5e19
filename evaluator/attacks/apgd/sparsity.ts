import type { Checkpoint } from './state.ts'

/** The step shrinks by this where the sparsity stands still, and never below eps over `SMALLEST`. */
const SHRINK = 1.5
const SMALLEST = 10
/** Sparsity counts as changed when the best point moves fewer than 95 % of the elements it moved before. */
const SPARSER = 0.95

/** Elements of `x` that differ from `origin`. */
export function moved(x: Float32Array, origin: Float32Array): number {
  let count = 0
  for (let i = 0; i < x.length; i++) if (x[i] !== origin[i]) count++
  return count
}

/** L1's windows are 4 % of the iterations, all alike. */
export function sparseCheckpoints(iterations: number): Set<number> {
  const window = Math.max(Math.floor(0.04 * iterations), 1)
  return new Set(Array.from({ length: Math.floor(iterations / window) }, (_, i) => (i + 1) * window))
}

/**
 * The rule for L1 (Croce & Hein, "Mind the box", 2021, algorithm 1): the next steps move two thirds as many elements as
 * the best point has moved. If that point became sparser, start again from it with the full step; else shorten the step.
 */
export function adaptiveSparsity(full: number, movedBefore: number): Checkpoint {
  let before = movedBefore
  return {
    note() {},
    due(walk) {
      const now = moved(walk.best, walk.example.origin)
      const sparser = now / before < SPARSER
      walk.step = Math.max(sparser ? full : walk.step / SHRINK, full / SMALLEST)
      walk.moved = elementsMoved(now / 1.5, walk.x.length)
      before = now
      return sparser
    },
  }
}

/** At least one element, at most all. */
export const elementsMoved = (wanted: number, all: number): number =>
  Math.min(Math.max(Math.ceil(wanted), 1), all)
