import type { Example, Query, Slope } from '../attack.ts'

/** One example's walk: where it is, where it was, and the best point seen. */
export interface Walk extends Query {
  readonly example: Example
  /** Of the ball in which it walks. */
  readonly radius: number
  readonly x: Float32Array
  readonly previous: Float32Array
  readonly gradient: Float32Array
  readonly best: Float32Array
  readonly bestGradient: Float32Array
  bestLoss: number
}

/** How walks step and when they change their step: Auto-PGD has one way for Linf and L2, another for L1. */
export interface Gait {
  /** Iterations after which `turn` is asked. */
  checkpoints(iterations: number): Set<number>
  /** A pace for a walk that begins; `warm` where it goes on from an earlier walk's best point. */
  begin(walk: Walk, warm: boolean): Pace
}

/** The state of one walk's step. */
export interface Pace {
  /** Moves the walk one step on, in place. */
  advance(walk: Walk): void
  /** Takes in the loss after a step. */
  note(loss: number): void
  /** At a checkpoint: changes the step, and answers whether to go back to the best point. */
  turn(walk: Walk): boolean
}

/** A walk that stands at `x`, with the model's answer for that point. */
export function beginAt(
  example: Example,
  x: Float32Array,
  radius: number,
  slope: Slope,
  target?: number,
): Walk {
  return {
    example,
    radius,
    x,
    previous: x.slice(),
    gradient: slope.gradient.slice(),
    best: x.slice(),
    bestGradient: slope.gradient.slice(),
    bestLoss: slope.loss,
    ...(target !== undefined && { target }),
  }
}

/** Takes in the model's answer for the point where the walk stands now. */
export function learn(walk: Walk, { loss, gradient }: Slope): void {
  walk.gradient.set(gradient)
  if (loss > walk.bestLoss) {
    walk.best.set(walk.x)
    walk.bestGradient.set(gradient)
    walk.bestLoss = loss
  }
}

/** Back to the best point. The point before the last step stays in `previous`, as in the authors' code. */
export function goBack(walk: Walk): void {
  walk.x.set(walk.best)
  walk.gradient.set(walk.bestGradient)
}
