import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NormName } from '../../../converters/perturb/norm.ts'
import { NORMS } from '../../../converters/perturb/norms.ts'
import { uniforms } from '../../../converters/perturb/random.ts'
import { PROJECTIONS } from '../../../evaluator/attacks/fab/projection.ts'

const SIZE = 9
const numbers = (low: number, high: number) =>
  fc
    .array(fc.float({ min: Math.fround(low), max: Math.fround(high), noNaN: true }), {
      minLength: SIZE,
      maxLength: SIZE,
    })
    .map((values) => Float32Array.from(values))

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0)

describe.each(Object.keys(PROJECTIONS) as NormName[])('onto a hyperplane in the box, %s', (name) => {
  const project = PROJECTIONS[name]
  const norm = NORMS[name]

  it('closes the gap inside the box, or goes to the corner where the box does not reach', () => {
    fc.assert(
      fc.property(numbers(0, 1), numbers(-2, 2), fc.double({ min: -6, max: 6, noNaN: true }), (x, w, gap) => {
        const way = new Float32Array(SIZE)
        const length = project(x, w, gap, way)
        expect(length).toBeCloseTo(norm.distance(way, new Float32Array(SIZE)), 4)
        for (let i = 0; i < SIZE; i++) {
          expect(x[i]! + way[i]!).toBeGreaterThanOrEqual(-1e-6)
          expect(x[i]! + way[i]!).toBeLessThanOrEqual(1 + 1e-6)
          if (w[i] === 0) expect(way[i]).toBe(0)
        }
        const sign = Math.sign(gap)
        const reach = x.reduce(
          (sum, value, i) => sum + Math.abs(w[i]!) * (sign * w[i]! > 0 ? 1 - value : value),
          0,
        )
        expect(dot(w, way)).toBeCloseTo(sign * Math.min(Math.abs(gap), reach), 4)
      }),
    )
  })

  it('takes the shortest way: no random point of plane and box is nearer', () => {
    fc.assert(
      fc.property(numbers(0, 1), numbers(-2, 2), fc.nat(1e6), (x, w, seed) => {
        const other = uniforms([seed], SIZE)
        const way = new Float32Array(SIZE)
        const away = other.map((value, i) => value - x[i]!)
        const length = project(x, w, dot(w, away), way)
        expect(length).toBeLessThanOrEqual(norm.distance(other, x) + 1e-5)
      }),
    )
  })
})
