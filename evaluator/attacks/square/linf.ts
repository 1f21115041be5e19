import { linf } from '../../../converters/perturb/linf.ts'
import { integers } from '../../../converters/perturb/random.ts'
import type { Squares } from './square.ts'

/**
 * Vertical stripes of ±eps to begin with; then a square window of ±2 eps, one sign a channel, cut to the ball.
 * Only the window is computed: with thousands of small windows, the rest would take longer than a small model.
 */
export const squareLinf: Squares = {
  begin(example, [channels, height, width]) {
    const x = example.origin.slice()
    const signs = integers([...example.key, 0], channels * width, 2)
    for (let c = 0; c < channels; c++)
      for (let row = 0; row < height; row++)
        for (let column = 0; column < width; column++)
          x[(c * height + row) * width + column]! += (2 * signs[c * width + column]! - 1) * example.eps
    linf.project(x, example.origin, example.eps)
    return x
  },

  propose(example, best, [channels, height, width], share, query) {
    const side = Math.max(Math.round(Math.sqrt(share * height * width)), 1)
    const [top, left] = corner(example.key, query, height - side, width - side)
    const signs = integers([...example.key, query, 1], channels, 2)
    const { origin, eps } = example
    const x = best.slice()
    for (let c = 0; c < channels; c++) {
      const change = 2 * (2 * signs[c]! - 1) * eps
      for (let row = top; row < Math.min(top + side, height); row++)
        for (let column = left; column < Math.min(left + side, width); column++) {
          const i = (c * height + row) * width + column
          const low = Math.max(origin[i]! - eps, 0)
          const high = Math.min(origin[i]! + eps, 1)
          x[i] = Math.min(Math.max(x[i]! + change, low), high)
        }
    }
    return x
  },
}

/** A window's upper left corner. The last place in either direction is never drawn, as in the authors' code. */
export function corner(
  key: readonly number[],
  query: number,
  rows: number,
  columns: number,
): [top: number, left: number] {
  return [
    integers([...key, query, 2], 1, Math.max(rows, 1))[0]!,
    integers([...key, query, 3], 1, Math.max(columns, 1))[0]!,
  ]
}
