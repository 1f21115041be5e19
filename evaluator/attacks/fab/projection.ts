import type { NormName } from '../../../converters/perturb/norm.ts'
import { select } from '../../../converters/perturb/select.ts'

/**
 * The shortest way, in one norm, from a point of the box [0,1]^n to a hyperplane inside it (Croce & Hein, "Minimally
 * distorted adversarial examples with a fast adaptive boundary attack", ICML 2020, section 2.2).
 *
 * Writes `way` such that w·way = gap and x + way stays in the box, of the smallest norm. Where the box does not reach
 * the plane, `way` leads to the corner nearest to it. Elements with no weight don't move. Answers the way's norm.
 */
export type Projection = (x: Float32Array, w: Float32Array, gap: number, way: Float32Array) => number

/** How far each element could move in the direction that closes the gap: at most to the edge of the box. */
const roomOf = (value: number, direction: number): number => (direction > 0 ? 1 - value : value)

/**
 * Linf and L2 share a form: element i moves min(t * speed_i, room_i), with speed 1 and |w_i|. What that closes of the
 * gap grows with t along a concave polygon, so Newton's steps from t = 0 never overshoot and end on the right edge.
 */
const along =
  (speed: (weight: number) => number, length: (way: Float32Array) => number): Projection =>
  (x, w, gap, way) => {
    const sign = gap < 0 ? -1 : 1
    const wanted = Math.abs(gap)
    let t = 0
    for (;;) {
      let closed = 0
      let slope = 0
      for (let i = 0; i < x.length; i++) {
        const weight = Math.abs(w[i]!)
        if (weight === 0) continue
        const pace = speed(weight)
        const room = roomOf(x[i]!, sign * w[i]!)
        if (t * pace < room) {
          closed += weight * t * pace
          slope += weight * pace
        } else closed += weight * room
      }
      const missing = wanted - closed
      if (slope === 0) {
        t = Number.POSITIVE_INFINITY
        break
      }
      const next = t + missing / slope
      if (!(next > t) || missing <= 1e-12 * wanted) break
      t = next
    }
    for (let i = 0; i < x.length; i++) {
      const direction = sign * w[i]!
      const moved = direction === 0 ? 0 : Math.min(t * speed(Math.abs(direction)), roomOf(x[i]!, direction))
      way[i] = direction < 0 ? -moved : moved
    }
    return length(way)
  }

const largest = (way: Float32Array): number => {
  let most = 0
  for (let i = 0; i < way.length; i++) most = Math.max(most, Math.abs(way[i]!))
  return most
}

const euclidean = (way: Float32Array): number => {
  let sum = 0
  for (let i = 0; i < way.length; i++) sum += way[i]! ** 2
  return Math.sqrt(sum)
}

/** L1: move the elements of the largest weight to the edge, one after the other, until the gap is closed. */
const greedy: Projection = (x, w, gap, way) => {
  const sign = gap < 0 ? -1 : 1
  way.fill(0)
  let missing = Math.abs(gap)
  let total = 0
  for (const i of descending(w)) {
    const weight = Math.abs(w[i]!)
    if (weight === 0 || missing <= 0) break
    const moved = Math.min(missing / weight, roomOf(x[i]!, sign * w[i]!))
    way[i] = sign * Math.sign(w[i]!) * moved
    missing -= weight * moved
    total += moved
  }
  return total
}

/** Indices from the largest |w| down, sorted only as far as they are asked for: each round takes the largest that are left. */
function* descending(w: Float32Array): Generator<number> {
  const sizes = Float64Array.from(w, Math.abs)
  let rest = Array.from(w.keys())
  for (let count = 64; rest.length > 0; count *= 4) {
    const threshold = thresholdFor(rest, sizes, count)
    const taken = rest.filter((i) => sizes[i]! >= threshold)
    rest = rest.filter((i) => sizes[i]! < threshold)
    yield* taken.sort((a, b) => sizes[b]! - sizes[a]!)
  }
}

/** The size of the `count`-th largest of the rest. */
function thresholdFor(rest: readonly number[], sizes: Float64Array, count: number): number {
  if (count >= rest.length) return Number.NEGATIVE_INFINITY
  const values = Float32Array.from(rest, (i) => sizes[i]!)
  return select(values, values.length - count)
}

export const PROJECTIONS: Readonly<Record<NormName, Projection>> = {
  linf: along(() => 1, largest),
  l2: along((weight) => weight, euclidean),
  l1: greedy,
}
