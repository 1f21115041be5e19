import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { onCommonImages, rankIntervals } from '../../../evaluator/leaderboard/rank.ts'

const outcomes = (bits: string, from = 0) =>
  [...bits].map((bit, i) => ({ index: from + i, robust: bit === '1' }))

describe('rankIntervals', () => {
  it('gives each its own place where every pair is told apart', () => {
    const models = [80, 50, 20].map((n) => outcomes('1'.repeat(n) + '0'.repeat(100 - n)))
    expect(rankIntervals(models)).toEqual([
      { best: 1, worst: 1 },
      { best: 2, worst: 2 },
      { best: 3, worst: 3 },
    ])
  })

  it('gives a band where the pairs cannot be told apart', () => {
    // 5 discordant images, all to one side: p = 2 / 2^5 = 0.0625.
    const models = [55, 50, 20].map((n) => outcomes('1'.repeat(n) + '0'.repeat(100 - n)))
    expect(rankIntervals(models)).toEqual([
      { best: 1, worst: 2 },
      { best: 1, worst: 2 },
      { best: 3, worst: 3 },
    ])
    // 6 of them: p = 2 / 2^6 = 0.03125.
    expect(rankIntervals([outcomes('111111'), outcomes('000000')])).toEqual([
      { best: 1, worst: 1 },
      { best: 2, worst: 2 },
    ])
  })

  it('compares on common images alone, and claims nothing where there are none', () => {
    expect(rankIntervals([outcomes('1111111'), outcomes('0000000', 100)])).toEqual([
      { best: 1, worst: 2 },
      { best: 1, worst: 2 },
    ])
    expect(onCommonImages(outcomes('110'), outcomes('01', 1))).toEqual({ a: [true, false], b: [false, true] })
  })

  it('always gives places between 1 and the number of models, best before worst', () => {
    const models = fc.array(fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), {
      minLength: 1,
      maxLength: 6,
    })
    fc.assert(
      fc.property(models, (all) => {
        const ranks = rankIntervals(all.map((row) => row.map((robust, index) => ({ index, robust }))))
        for (const { best, worst } of ranks) {
          expect(best).toBeGreaterThanOrEqual(1)
          expect(worst).toBeLessThanOrEqual(all.length)
          expect(best).toBeLessThanOrEqual(worst)
        }
      }),
    )
  })
})
