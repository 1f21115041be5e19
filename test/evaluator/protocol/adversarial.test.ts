import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { uniforms } from '../../../converters/perturb/random.ts'
import {
  decodePerturbations,
  encodePerturbations,
  perturbation,
  perturbed,
} from '../../../evaluator/protocol/adversarial.ts'

const pixels = fc
  .array(fc.float({ min: 0, max: 1, noNaN: true }), { minLength: 16, maxLength: 16 })
  .map((values) => Float32Array.from(values))

describe('stored perturbations', () => {
  it('come back to the bit', () => {
    const steps = fc.array(fc.integer({ min: -(2 ** 24), max: 2 ** 24 }), { minLength: 16, maxLength: 16 })
    fc.assert(
      fc.property(fc.array(steps, { minLength: 1, maxLength: 5 }), (all) => {
        const given = all.map((values) => Int32Array.from(values))
        expect(decodePerturbations(encodePerturbations(given), given.length, 16)).toEqual(given)
      }),
    )
  })

  it('lead to an image within 3e-8 of the one meant, inside [0,1], and from there to the same image again', () => {
    fc.assert(
      fc.property(pixels, pixels, (origin, x) => {
        const steps = perturbation(x, origin)
        const image = perturbed(origin, steps)
        for (let i = 0; i < 16; i++) {
          expect(Math.abs(image[i]! - x[i]!)).toBeLessThanOrEqual(2 ** -24)
          expect(image[i]! >= 0 && image[i]! <= 1).toBe(true)
          if (x[i] === origin[i]) expect(image[i]).toBe(origin[i])
        }
        expect(perturbed(origin, perturbation(image, origin))).toEqual(image)
      }),
    )
  })

  it('of a sign attack take less than three bits an element', () => {
    const origin = uniforms([1], 3072).map((value) => Math.round(value * 255) / 255)
    const x = uniforms([2], 3072).map((value, i) =>
      Math.min(Math.max(origin[i]! + (value < 0.5 ? -8 : 8) / 255, 0), 1),
    )
    expect(encodePerturbations([perturbation(x, origin)]).length).toBeLessThan((3 / 8) * 3072)
  })

  it.each([
    ['cut', (bytes: Uint8Array) => bytes.slice(0, -3)],
    ['of another size', () => encodePerturbations([new Int32Array(8)])],
    ['something else', () => new TextEncoder().encode('hello')],
  ])('that are %s are refused', (_, damage) => {
    const bytes = encodePerturbations([Int32Array.from({ length: 16 }, (_, i) => i * 1000)])
    expect(() => decodePerturbations(damage(bytes), 1, 16)).toThrow(
      expect.objectContaining({ code: 'integrity' }),
    )
  })
})
