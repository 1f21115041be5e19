import { l1 } from '../../../converters/perturb/l1.ts'
import type { Key } from '../../../converters/perturb/random.ts'
import { integers } from '../../../converters/perturb/random.ts'
import { corner } from './linf.ts'
import type { Squares } from './square.ts'

const TINY = 1e-12

/** What the square attack needs of L2 or L1. */
interface Measure {
  length(values: Float32Array): number
  /** The length for which `parts` add up: root of the sum of squares, or sum. */
  sum(parts: readonly number[]): number
  /** What is left of eps when `used` is taken away, divided over so many channels. */
  spare(eps: number, used: number, channels: number): number
  /** The image that a perturbation makes, in the ball and in [0,1]. */
  image(origin: Float32Array, delta: Float32Array, eps: number): Float32Array
}

const EUCLIDEAN: Measure = {
  length: euclidean,
  sum: (parts) => Math.sqrt(parts.reduce((sum, part) => sum + part ** 2, 0)),
  spare: (eps, used, channels) => Math.sqrt(Math.max(eps ** 2 - used ** 2, 0) / channels),
  image(origin, delta, eps) {
    const scale = eps / (euclidean(delta) + TINY)
    return origin.map((value, i) => Math.min(Math.max(value + scale * delta[i]!, 0), 1))
  },
}

const ABSOLUTE: Measure = {
  length: (values) => values.reduce((sum, value) => sum + Math.abs(value), 0),
  sum: (parts) => parts.reduce((sum, part) => sum + part, 0),
  spare: (eps, used, channels) => Math.max(eps - used, 0) / channels,
  image(origin, delta, eps) {
    const x = origin.map((value, i) => value + delta[i]!)
    l1.project(x, origin, eps)
    return x
  },
}

/**
 * A grid of bumps to begin with. Then the perturbation's mass in one window moves to another, where a new bump is added,
 * together with what is left of eps; the size stays eps, but for what is cut to [0,1]. As in AutoAttack's code, every
 * channel gets the mass of the windows in all, before the whole is brought back to size.
 */
const bumps = (measure: Measure): Squares => ({
  begin(example, [channels, height, width]) {
    const side = Math.max(Math.floor(height / 5), 1)
    const margin = Math.floor((height - side * 5) / 2)
    const delta = new Float32Array(example.origin.length)
    let tile = 0
    for (let top = Math.max(margin, 0); top + side <= height; top += side)
      for (let left = Math.max(margin, 0); left + side <= width; left += side, tile++) {
        const key = [...example.key, 0, tile]
        const shape = bump(side, key)
        const signs = integers([...key, 1], channels, 2)
        for (let c = 0; c < channels; c++)
          forWindow([top, left], side, height, width, (pixel, place) => {
            delta[c * height * width + pixel]! += shape[place]! * (2 * signs[c]! - 1)
          })
      }
    return measure.image(example.origin, delta, example.eps)
  },

  propose(example, best, [channels, height, width], share, query) {
    const side = oddSide(share, height, width)
    const to = corner(example.key, query, height - side, width - side)
    const from = corner([...example.key, 1], query, height - side, width - side)
    const shape = bump(side, [...example.key, query, 4])
    const signs = integers([...example.key, query, 1], channels, 2)
    const { origin, eps } = example
    const delta = best.map((value, i) => value - origin[i]!)
    const planes = Array.from({ length: channels }, (_, c) =>
      delta.subarray(c * height * width, (c + 1) * height * width),
    )
    const spare = measure.spare(eps, measure.length(delta), channels)
    const old = planes.map((plane) => take(plane, to, side, height, width))
    // Of the other window what lies outside the first: together the two windows' mass.
    const moved = planes.map((plane) => take(plane, from, side, height, width))
    const length = measure.sum([spare, ...[...old, ...moved].map(measure.length)])

    for (const [c, plane] of planes.entries()) {
      const oldLength = measure.length(old[c]!)
      const fresh = old[c]!.map(
        (value, place) => shape[place]! * (2 * signs[c]! - 1) + value / (TINY + oldLength),
      )
      const scale = length / (TINY + measure.length(fresh))
      forWindow(to, side, height, width, (pixel, place) => {
        plane[pixel] = fresh[place]! * scale
      })
    }
    return measure.image(origin, delta, eps)
  },
})

export const squareL2 = bumps(EUCLIDEAN)
/** As AutoAttack has it for L1. */
export const squareL1 = bumps(ABSOLUTE)

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

/** Takes a window's values out of a plane, row after row; 0 outside the image. */
function take(
  plane: Float32Array,
  corner: readonly [number, number],
  side: number,
  height: number,
  width: number,
): Float32Array {
  const values = new Float32Array(side * side)
  forWindow(corner, side, height, width, (pixel, place) => {
    values[place] = plane[pixel]!
    plane[pixel] = 0
  })
  return values
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
  const scale = 1 / (euclidean(upright) + TINY)
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
  const scale = 1 / (euclidean(values) + TINY)
  return values.map((value) => value * scale)
}

function euclidean(values: Float32Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2
  return Math.sqrt(sum)
}
