import { describe, expect, it } from 'vitest'
import { NORMS } from '../../../converters/perturb/norms.ts'
import { squareL1, squareL2 } from '../../../evaluator/attacks/square/bumps.ts'
import { squareLinf } from '../../../evaluator/attacks/square/linf.ts'
import { shareAt } from '../../../evaluator/attacks/square/square.ts'

const SHAPE = [3, 10, 10] as const
const SIZE = 300
const GREY = [1, 30, 10] as const
/** Grey, so that the edges of [0,1] are far away. */
const example = {
  row: 0,
  origin: new Float32Array(SIZE).fill(0.5),
  label: 0,
  target: null,
  key: [1, 2, 3],
}

describe.each([
  ['l2', squareL2, 0.5],
  ['l1', squareL1, 4],
] as const)("square's steps in %s", (name, squares, eps) => {
  const own = { ...example, eps }

  it('move the mass of two windows and leave the rest as it is: the size stays eps', () => {
    let best = squares.begin(own, GREY)
    let moves = 0
    expect(NORMS[name].distance(best, own.origin)).toBeCloseTo(eps, 4)
    for (let query = 1; query <= 40; query++) {
      // Windows of side 3: two of them cover 18 pixels at most.
      const next = squares.propose(own, best, GREY, 0.03, query)
      expect(NORMS[name].distance(next, own.origin)).toBeCloseTo(eps, 4)
      const changed = next.filter((value, i) => Math.abs(value - best[i]!) > 1e-6).length
      expect(changed).toBeLessThanOrEqual(18)
      moves += Number(changed > 0)
      best = next
    }
    expect(moves).toBeGreaterThan(10)
  })

  it('stay inside ball and range at the edges of [0,1]', () => {
    const dark = { ...own, origin: new Float32Array(SIZE) }
    let best = squares.begin(dark, SHAPE)
    for (let query = 1; query <= 40; query++) {
      best = squares.propose(dark, best, SHAPE, shareAt(query), query)
      expect(NORMS[name].distance(best, dark.origin)).toBeLessThanOrEqual(eps + 1e-5)
      expect(best.every((value) => value >= 0 && value <= 1)).toBe(true)
    }
  })
})

describe("square's steps in linf", () => {
  it('change one window by twice eps at most, and stay on the surface', () => {
    const own = { ...example, eps: 0.1 }
    let best = squareLinf.begin(own, SHAPE)
    for (let query = 1; query <= 40; query++) {
      const next = squareLinf.propose(own, best, SHAPE, 0.09, query)
      const changed = next.filter((value, i) => value !== best[i]).length
      expect(changed).toBeLessThanOrEqual(9 * 3)
      for (const value of next) expect(Math.abs(value - 0.5)).toBeCloseTo(0.1, 6)
      best = next
    }
  })
})

describe("square's schedule", () => {
  it('halves the share after the published iterations, whatever the number of queries', () => {
    const shares = [0, 10, 11, 51, 201, 501, 1001, 2001, 4001, 4999].map(shareAt)
    expect(shares).toEqual([0.8, 0.8, 0.4, 0.2, 0.1, 0.05, 0.025, 0.0125, 0.00625, 0.00625])
  })
})
