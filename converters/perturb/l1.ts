import type { Norm } from './norm.ts'
import { normals, uniforms } from './random.ts'
import { select } from './select.ts'

/** Share of the elements that one step moves: those with the largest gradient (SLIDE; Tramèr & Boneh 2019, 1 %). */
const MOVED = 0.01

export const l1: Norm = {
  name: 'l1',

  distance(a, b) {
    let sum = 0
    for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!)
    return sum
  },

  dual(gradient) {
    let most = 0
    for (let i = 0; i < gradient.length; i++) most = Math.max(most, Math.abs(gradient[i]!))
    return most
  },

  /**
   * The nearest point (in L2) of the intersection of the L1 ball and [0,1] (Croce & Hein, "Mind the box", 2021, Prop. 2.2).
   * Each element moves min(max(|x - origin| - t, 0), room) away from the origin, where room is the way to the edge of [0,1]
   * and t >= 0 makes the sum eps. That sum is piecewise linear and falls with t: Newton's step inside a bracket
   * lands on the right piece after a few rounds and is then exact.
   */
  project(x, origin, eps) {
    let low = 0
    let high = 0
    for (let i = 0; i < x.length; i++) high = Math.max(high, Math.abs(x[i]! - origin[i]!))
    let threshold = 0
    for (let round = 0; round < 100; round++) {
      const { sum, sloping } = shrunk(x, origin, threshold)
      const excess = sum - eps
      if (excess > 0) low = threshold
      else high = threshold
      if ((round === 0 && excess <= 0) || Math.abs(excess) <= 1e-12 * eps || high - low <= 1e-15) break
      const newton = threshold + excess / sloping
      threshold = newton > low && newton < high ? newton : (low + high) / 2
    }
    for (let i = 0; i < x.length; i++) {
      const centre = origin[i]!
      const way = x[i]! - centre
      const moved = Math.max(Math.abs(way) - threshold, 0)
      x[i] = way < 0 ? Math.max(centre - moved, 0) : Math.min(centre + moved, 1)
    }
  },

  ascend(x, gradient, length) {
    const moved = Math.max(1, Math.round(MOVED * x.length))
    ascendSparsely(x, gradient, length, moved)
  },

  /** Laplace noise of a random length: uniform over the ball (Calafiore et al. 1998). */
  sample(x, origin, eps, key) {
    const noise = uniforms([...key, 0], x.length)
    let sum = 0
    for (let i = 0; i < x.length; i++) {
      const centred = noise[i]! - 0.5
      noise[i] = -Math.sign(centred) * Math.log1p(-2 * Math.abs(centred) + 2 ** -25)
      sum += Math.abs(noise[i]!)
    }
    const scale = (eps * uniforms([...key, 1], 1)[0]! ** (1 / x.length)) / sum
    for (let i = 0; i < x.length; i++) x[i] = origin[i]! + scale * noise[i]!
  },

  /** Normal noise projected onto the ball, hence sparse, as Auto-PGD for L1 starts. */
  surface(x, origin, eps, key) {
    const noise = normals(key, x.length)
    for (let i = 0; i < x.length; i++) x[i] = origin[i]! + noise[i]!
    l1.project(x, origin, eps)
  },
}

/**
 * `x += length * direction`, in place, where the direction is the gradient's sign on its `moved` largest elements, zero elsewhere,
 * and of unit L1 norm. Elements as large as the smallest of those move too; elements with no gradient never do.
 */
export function ascendSparsely(x: Float32Array, gradient: Float32Array, length: number, moved: number): void {
  const sizes = new Float32Array(gradient.length)
  for (let i = 0; i < gradient.length; i++) sizes[i] = Math.abs(gradient[i]!)
  const least = Math.max(select(sizes, sizes.length - moved), Number.MIN_VALUE)
  let count = 0
  for (let i = 0; i < x.length; i++) if (Math.abs(gradient[i]!) >= least) count++
  for (let i = 0; i < x.length; i++)
    if (Math.abs(gradient[i]!) >= least) x[i]! += (Math.sign(gradient[i]!) * length) / count
}

/** Total way left after shrinking by `threshold`, and how many elements still change with it. */
function shrunk(x: Float32Array, origin: Float32Array, threshold: number): { sum: number; sloping: number } {
  let sum = 0
  let sloping = 0
  for (let i = 0; i < x.length; i++) {
    const centre = origin[i]!
    const way = x[i]! - centre
    const room = way < 0 ? centre : 1 - centre
    const moved = Math.abs(way) - threshold
    if (moved >= room) sum += room
    else if (moved > 0) {
      sum += moved
      sloping++
    }
  }
  return { sum, sloping }
}
