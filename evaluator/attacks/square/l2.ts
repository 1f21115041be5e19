import type { Key } from '../../../converters/perturb/random.ts'
import { integers } from '../../../converters/perturb/random.ts'
import { corner } from './linf.ts'
import type { Squares } from './square.ts'

const TINY = 1e-12

/**
 * A grid of bumps to begin with. Then the perturbation's mass in one window moves to another, where a new bump is
 * added; the length stays eps, but for what is cut to [0,1].
 */
export const squareL2: Squares = {
  begin(example, [channels, height, width]) {
    const side = Math.max(Math.floor(height / 5), 1)
    const margin = Math.floor((height - side * 5) / 2)
    const delta = new Float32Array(example.origin.length)
    let tile = 0
    for (let top = margin; top + side <= height; top += side)
      for (let left = margin; left + side <= width; left += side, tile++) {
        const key = [...example.key, 0, tile]
        const shape = bump(side, key)
        const signs = integers([...key, 1], channels, 2)
        for (let c = 0; c < channels; c++)
          forWindow([top, left], side, height, width, (pixel, place) => {
            delta[c * height * width + pixel]! += shape[place]! * (2 * signs[c]! - 1)
          })
      }
    return scaled(example.origin, delta, example.eps)
  },

  propose(example, best, [channels, height, width], share, query) {
    const side = oddSide(share, height, width)
    const to = corner(example.key, query, height - side, width - side)
    const from = corner([...example.key, 1], query, height - side, width - side)
    const shape = bump(side, [...example.key, query, 4])
    const signs = integers([...example.key, query, 1], channels, 2)
    const { origin, eps } = example
    const delta = best.map((value, i) => value - origin[i]!)
    const pixels = height * width

    const inEither = new Uint8Array(pixels)
    for (const window of [to, from])
      forWindow(window, side, height, width, (pixel) => {
        inEither[pixel] = 1
      })
    let whole = 0
    let windows = 0
    for (let i = 0; i < delta.length; i++) {
      whole += delta[i]! ** 2
      if (inEither[i % pixels]) windows += delta[i]! ** 2
    }
    const length = Math.sqrt(Math.max(eps ** 2 - whole, 0) / channels + windows)

    for (let c = 0; c < channels; c++) {
      const plane = delta.subarray(c * pixels, (c + 1) * pixels)
      const old = new Float32Array(side * side)
      forWindow(to, side, height, width, (pixel, place) => {
        old[place] = plane[pixel]!
      })
      const oldLength = TINY + norm(old)
      const fresh = old.map((value, place) => shape[place]! * (2 * signs[c]! - 1) + value / oldLength)
      const scale = length / (TINY + norm(fresh))
      forWindow(from, side, height, width, (pixel) => {
        plane[pixel] = 0
      })
      forWindow(to, side, height, width, (pixel, place) => {
        plane[pixel] = fresh[place]! * scale
      })
    }
    return scaled(origin, delta, eps)
  },
}

/** The window's side: at least 3, odd, and inside the image. */
function oddSide(share: number, height: number, width: number): number {
  const wanted = Math.max(Math.round(Math.sqrt(share * height * width)), 3)
  const most = Math.min(height, width)
  return Math.min(wanted % 2 === 0 ? wanted + 1 : wanted, most % 2 === 0 ? most - 1 : most)
}

/** Visits a window: the pixel's place in the plane, and in the window. */
function forWindow(
  [top, left]: readonly [number, number],
  side: number,
  height: number,
  width: number,
  visit: (pixel: number, place: number) => void,
): void {
  for (let row = 0; row < side && top + row < height; row++)
    for (let column = 0; column < side && left + column < width; column++)
      visit((top + row) * width + left + column, row * side + column)
}

/** Two pyramids, one up and one down, of unit length; lying or standing by the key. */
function bump(side: number, key: Key): Float32Array {
  const upper = side >> 1
  const up = pyramid(upper, side)
  const down = pyramid(side - upper, side)
  const upright = new Float32Array(side * side)
  upright.set(up)
  upright.set(
    down.map((value) => -value),
    upper * side,
  )
  const scale = 1 / (norm(upright) + TINY)
  const turned = integers([...key, 5], 1, 2)[0] === 1
  return upright.map((_, i) => scale * upright[turned ? (i % side) * side + Math.floor(i / side) : i]!)
}

/** Sum of nested rectangles around the middle, the k-th of height 1/k², of unit length. */
function pyramid(rows: number, columns: number): Float32Array {
  const values = new Float32Array(rows * columns)
  const [middleRow, middleColumn] = [Math.floor(rows / 2), Math.floor(columns / 2)]
  for (let k = 0; k <= Math.max(middleRow, middleColumn); k++)
    for (let row = Math.max(middleRow - k, 0); row < Math.min(middleRow + k + 1, rows); row++)
      for (
        let column = Math.max(middleColumn - k, 0);
        column < Math.min(middleColumn + k + 1, columns);
        column++
      )
        values[row * columns + column]! += 1 / (k + 1) ** 2
  const scale = 1 / (norm(values) + TINY)
  return values.map((value) => value * scale)
}

/** origin + eps * delta / ‖delta‖, cut to [0,1]. */
function scaled(origin: Float32Array, delta: Float32Array, eps: number): Float32Array {
  const scale = eps / (norm(delta) + TINY)
  return origin.map((value, i) => Math.min(Math.max(value + scale * delta[i]!, 0), 1))
}

function norm(values: Float32Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2
  return Math.sqrt(sum)
}
