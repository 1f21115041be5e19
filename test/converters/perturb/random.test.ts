import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { integers, keyOf, normals, threefry, uniforms, words } from '../../../converters/perturb/random.ts'

describe('threefry', () => {
  // Known answers of the Random123 distribution (kat_vectors, threefry2x32 20).
  it.each([
    [
      [0, 0],
      [0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x13198a2e, 0x03707344],
      [0x243f6a88, 0x85a308d3],
      [0xc4923a9c, 0x483df7a0],
    ],
  ])('key %j counter %j', (key, counter, expected) => {
    const out = new Uint32Array(2)
    threefry(key[0]!, key[1]!, counter[0]!, counter[1]!, out)
    expect([...out]).toEqual(expected)
  })
})

describe('keyed draws', () => {
  const key = fc.array(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { maxLength: 5 })

  it('give the same numbers for the same key, and a longer draw continues a shorter one', () => {
    fc.assert(
      fc.property(key, fc.nat(20), fc.nat(20), (k, short, more) => {
        expect([...words(k, short + more)].slice(0, short)).toEqual([...words(k, short)])
      }),
    )
  })

  it('differ between keys, also where one is the beginning of the other or numbers differ only above 2^32', () => {
    expect(words([1], 4)).not.toEqual(words([1, 0], 4))
    expect(words([1, 2], 4)).not.toEqual(words([2, 1], 4))
    expect(words([2 ** 32 + 7], 4)).not.toEqual(words([7], 4))
  })

  it('are uniform in [0,1): mean, variance and correlation between neighbouring keys', () => {
    const a = uniforms([5, 0], 100_000)
    const b = uniforms([5, 1], 100_000)
    const mean = a.reduce((s, v) => s + v, 0) / a.length
    expect(mean).toBeCloseTo(0.5, 2)
    expect(a.reduce((s, v) => s + (v - mean) ** 2, 0) / a.length).toBeCloseTo(1 / 12, 3)
    expect(Math.min(...a)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...a)).toBeLessThan(1)
    let product = 0
    for (let i = 0; i < a.length; i++) product += (a[i]! - 0.5) * (b[i]! - 0.5)
    expect(Math.abs((product / a.length) * 12)).toBeLessThan(0.01)
  })

  it('are normal: mean 0, variance 1, fourth moment 3', () => {
    const z = normals([9], 100_001)
    const moment = (power: number) => z.reduce((s, v) => s + v ** power, 0) / z.length
    expect(moment(1)).toBeCloseTo(0, 1)
    expect(moment(2)).toBeCloseTo(1, 1)
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.15)
  })

  it('give whole numbers, each as often', () => {
    const counts = new Array(7).fill(0)
    for (const value of integers([3, 1, 4], 70_000, 7)) counts[value]++
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400)
  })

  it('take names as purposes', () => {
    expect(keyOf('')).toBe(0x811c9dc5)
    expect(keyOf('a')).toBe(0xe40c292c)
  })
})
