import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Norm } from '../../../converters/perturb/norm.ts'
import { NORMS } from '../../../converters/perturb/norms.ts'
import { pgdStep } from '../../../converters/perturb/pgd.ts'
import { normals, uniforms } from '../../../converters/perturb/random.ts'

const TOLERANCE = 1e-6

const image = (size: number) =>
  fc
    .array(fc.float({ min: 0, max: 1, noNaN: true }), { minLength: size, maxLength: size })
    .map((values) => Float32Array.from(values))
const anything = (size: number) =>
  fc
    .array(fc.float({ min: -3, max: 4, noNaN: true }), { minLength: size, maxLength: size })
    .map((values) => Float32Array.from(values))
const radius = fc.double({ min: 0.01, max: 2, noNaN: true })

describe.each(Object.values(NORMS))('$name', (norm: Norm) => {
  it('projects into ball and box, and leaves what is inside alone', () => {
    fc.assert(
      fc.property(image(12), anything(12), radius, (origin, x, eps) => {
        const projected = x.slice()
        norm.project(projected, origin, eps)
        expect(norm.distance(projected, origin)).toBeLessThanOrEqual(eps * (1 + TOLERANCE) + TOLERANCE)
        for (const value of projected) expect(value).toBeGreaterThanOrEqual(0)
        for (const value of projected) expect(value).toBeLessThanOrEqual(1)
        const again = projected.slice()
        norm.project(again, origin, eps * (1 + TOLERANCE) + TOLERANCE)
        for (let i = 0; i < 12; i++) expect(again[i]).toBeCloseTo(projected[i]!, 6)
      }),
    )
  })

  it('samples and starts inside the ball, the same for the same key', () => {
    const origin = uniforms([1], 300)
    for (let draw = 0; draw < 20; draw++) {
      const x = new Float32Array(300)
      const y = new Float32Array(300)
      norm.sample(x, origin, 0.7, [2, draw])
      expect(norm.distance(x, origin)).toBeLessThanOrEqual(0.7 * (1 + TOLERANCE))
      norm.sample(y, origin, 0.7, [2, draw])
      expect(y).toEqual(x)
      norm.surface(x, origin, 0.7, [2, draw])
      expect(norm.distance(x, origin)).toBeLessThanOrEqual(0.7 * (1 + TOLERANCE))
      for (const value of x) expect(value >= 0 && value <= 1).toBe(true)
    }
  })

  it('ascends by the length asked for, uphill, and not at all where the gradient is zero', () => {
    const gradient = normals([4], 300)
    const zero = new Float32Array(300)
    const x = new Float32Array(300)
    norm.ascend(x, zero, 0.25)
    expect(x).toEqual(zero)
    norm.ascend(x, gradient, 0.25)
    expect(norm.distance(x, zero)).toBeCloseTo(0.25, 5)
    expect(x.reduce((sum, value, i) => sum + value * gradient[i]!, 0)).toBeGreaterThan(0)
  })

  it('keeps a NaN visible in the distance', () => {
    expect(norm.distance(Float32Array.of(0.5, Number.NaN, 0.5), Float32Array.of(0, 0, 0))).toBeNaN()
  })
})

describe('l1.project', () => {
  it('finds the nearest point of the intersection, up to rounding: no small move inside comes nearer', () => {
    fc.assert(
      fc.property(image(5), anything(5), radius, image(5), (origin, x, eps, other) => {
        const nearest = x.slice()
        NORMS.l1.project(nearest, origin, eps)
        NORMS.l1.project(other, origin, eps)
        // The projection p of x onto a convex set satisfies (x - p)·(q - p) <= 0 for every q in the set.
        const product = x.reduce((sum, v, i) => sum + (v - nearest[i]!) * (other[i]! - nearest[i]!), 0)
        expect(product).toBeLessThanOrEqual(1e-4)
      }),
    )
  })
})

describe('linf.ascend', () => {
  it('goes by the sign alone, and leaves what has no gradient', () => {
    const x = new Float32Array(6)
    NORMS.linf.ascend(x, Float32Array.of(3, -1e-30, 0, -0, 1e-42, -5), 0.5)
    expect([...x].map((value) => value + 0)).toEqual([0.5, -0.5, 0, 0, 0.5, -0.5])
  })
})

describe('pgdStep', () => {
  it('steps each row in its own ball', () => {
    const origin = Float32Array.of(0.5, 0.5, 0.98, 0.5)
    const x = origin.slice()
    pgdStep(x, Float32Array.of(1, -2, 3, 0), { norm: NORMS.linf, origin, eps: [0.1, 0.05], size: 2 }, 0.08)
    for (const [i, value] of [0.58, 0.42, 1, 0.5].entries()) expect(x[i]).toBeCloseTo(value, 6)
  })
})
