import { describe, expect, it } from 'vitest'
import { accuracyDifference, discordant, mcnemar } from '../../../evaluator/statistics/paired.ts'
import { wilson } from '../../../evaluator/statistics/wilson.ts'

describe('wilson', () => {
  it.each([
    [1, 10],
    [123, 500],
    [4, 9],
    [9999, 10_000],
  ])('%i of %i: both ends are where the score test is just significant', (successes, trials) => {
    const share = successes / trials
    for (const end of wilson(successes, trials))
      expect(Math.abs(share - end) / Math.sqrt((end * (1 - end)) / trials)).toBeCloseTo(1.959964, 5)
  })

  it('is closed at the end where nothing, or everything, succeeded', () => {
    expect(wilson(0, 10)[0]).toBe(0)
    expect(wilson(0, 10)[1]).toBeCloseTo(1.959964 ** 2 / (10 + 1.959964 ** 2), 6)
    expect(wilson(10, 10)[1]).toBe(1)
  })

  it('knows nothing without trials', () => expect(wilson(0, 0)).toEqual([0, 1]))
})

describe('mcnemar', () => {
  // From exact sums of binomial coefficients: 2 * sum(comb(n, i) for i <= min) / 2^n.
  it.each([
    [0, 0, 1],
    [5, 0, 0.0625],
    [10, 2, 0.03857421875],
    [3, 3, 1],
    [60, 40, 0.05688793364],
  ])('%i to %i', (won, lost, p) => {
    expect(mcnemar(won, lost)).toBeCloseTo(p, 9)
    expect(mcnemar(lost, won)).toBe(mcnemar(won, lost))
  })

  it('stands thousands of discordant pairs', () => {
    expect(mcnemar(5000, 5000)).toBe(1)
    expect(mcnemar(3000, 7000)).toBeLessThan(1e-300)
  })
})

describe('accuracyDifference', () => {
  const a = Array.from({ length: 400 }, (_, i) => i % 10 < 7)
  const b = Array.from({ length: 400 }, (_, i) => i % 10 < 5)

  it('is the mean difference, inside an interval near the normal one', () => {
    const { difference, interval } = accuracyDifference({ a, b })
    expect(difference).toBeCloseTo(0.2, 12)
    // sd of the gains is 0.4, so the half width is about 1.96 * 0.4 / 20.
    expect(interval[0]).toBeCloseTo(0.2 - 0.0392, 1.5)
    expect(interval[1]).toBeCloseTo(0.2 + 0.0392, 1.5)
    expect(accuracyDifference({ a, b })).toEqual({ difference, interval })
  })

  it('counts what only one gets right', () => {
    expect(discordant({ a, b })).toEqual({ won: 80, lost: 0 })
  })
})
