import { ascendSparsely, l1 as l1Norm } from '../../../converters/perturb/l1.ts'
import type { Norm } from '../../../converters/perturb/norm.ts'
import type { Example, Query, Slope } from '../attack.ts'

/** Share of the previous move that is kept beside the step: x' = P(x + .75 (u - x) + .25 (x - x_old)). */
const NEW_SHARE = 0.75

/** One example's walk: where it is, where it was, and the best point seen. */
export interface Walk extends Query {
  readonly example: Example
  readonly x: Float32Array
  readonly previous: Float32Array
  readonly gradient: Float32Array
  readonly best: Float32Array
  readonly bestGradient: Float32Array
  bestLoss: number
  /** Length of a step, in the norm's own unit. */
  step: number
  /** Elements that one step moves; only L1's walk is sparse. */
  moved: number
  readonly check: Checkpoint
}

/** Decides at the end of each window of iterations whether a walk goes on or starts again, closer, from its best point. */
export interface Checkpoint {
  /** Called with the loss after each step. */
  note(loss: number): void
  /** Called at the window's end; may shorten the step. Answers whether to go back to the best point. */
  due(walk: Walk): boolean
}

/** A walk that stands at `x`, with the answer for that point. */
export function begin(
  example: Example,
  x: Float32Array,
  slope: Slope,
  options: { target: number | undefined; step: number; moved: number; check: Checkpoint },
): Walk {
  const { target, ...rest } = options
  return {
    example,
    x,
    previous: x.slice(),
    gradient: slope.gradient.slice(),
    best: x.slice(),
    bestGradient: slope.gradient.slice(),
    bestLoss: slope.loss,
    ...(target !== undefined && { target }),
    ...rest,
  }
}

/** Moves a walk one step on, in place. The first step has no move to keep. */
export function advance(walk: Walk, norm: Norm, eps: number, first: boolean): void {
  const { x, previous, gradient } = walk
  const { origin } = walk.example
  const u = x.slice()
  if (norm === l1Norm) {
    ascendSparsely(u, gradient, walk.step, walk.moved)
    norm.project(u, origin, eps)
  } else {
    norm.ascend(u, gradient, walk.step)
    norm.project(u, origin, eps)
    if (!first) {
      for (let i = 0; i < u.length; i++)
        u[i] = x[i]! + NEW_SHARE * (u[i]! - x[i]!) + (1 - NEW_SHARE) * (x[i]! - previous[i]!)
      norm.project(u, origin, eps)
    }
  }
  previous.set(x)
  x.set(u)
}

/** Takes in the answer for the point where the walk stands now. */
export function learn(walk: Walk, slope: Slope): void {
  walk.gradient.set(slope.gradient)
  walk.check.note(slope.loss)
  if (slope.loss > walk.bestLoss) {
    walk.best.set(walk.x)
    walk.bestGradient.set(slope.gradient)
    walk.bestLoss = slope.loss
  }
}

/** Back to the best point; the way taken last stays in `previous`, as in the authors' code. */
export function goBack(walk: Walk): void {
  walk.x.set(walk.best)
  walk.gradient.set(walk.bestGradient)
}
