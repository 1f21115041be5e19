import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromBfloat16, fromFloat16, toFloat16 } from '../../../converters/onnx/half.ts'

describe('float16', () => {
  it('gives back every pattern that is a number', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromFloat16(bits)
      if (!Number.isNaN(value)) expect(toFloat16(value)).toBe(bits)
    }
  })

  it.each([
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519.99, 0x7bff],
    [65520, 0x7c00],
    [2 ** -24, 1],
    [2 ** -25, 0],
    [2 ** -25 * 1.001, 1],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [2047.5, 0x6800],
  ])('rounds %d to the nearest, even on ties', (value, bits) => {
    expect(toFloat16(value)).toBe(bits)
  })

  it('rounds to a neighbour, and to the nearer one', () => {
    fc.assert(
      fc.property(fc.double({ min: -65504, max: 65504, noNaN: true }), (value) => {
        const bits = toFloat16(value)
        const off = Math.abs(fromFloat16(bits) - value)
        for (const other of [bits - 1, bits + 1])
          if ((other & 0x7fff) < 0x7c00 && other >= 0)
            expect(Math.abs(fromFloat16(other) - value)).toBeGreaterThanOrEqual(off)
      }),
    )
  })

  it('keeps what is no number', () => {
    expect(fromFloat16(toFloat16(Number.NaN))).toBeNaN()
    expect(fromFloat16(toFloat16(-Infinity))).toBe(-Infinity)
  })
})

it('bfloat16 is the upper half of float32', () => {
  expect([0x3f80, 0xc040, 0x7f80].map(fromBfloat16)).toEqual([1, -3, Infinity])
})
