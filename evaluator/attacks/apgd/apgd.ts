import {
  type Attack,
  type Example,
  type Loss,
  type Oracle,
  submitMisclassified,
  type Task,
} from '../attack.ts'
import { chooseTargets } from '../targets.ts'
import { adaptiveSparsity, elementsMoved, moved, sparseCheckpoints } from './sparsity.ts'
import { advance, begin, goBack, learn, type Walk } from './state.ts'
import { checkpoints, halving } from './windows.ts'

export interface ApgdOptions {
  readonly loss: 'ce' | 'dlr' | 'targeted-dlr'
  readonly iterations: number
  /** For L1: begin with three times the radius, then twice, then once, over 30, 30 and 40 % of the iterations. */
  readonly largerRadii: boolean
}

/** A stretch of iterations with one radius. */
interface Leg {
  readonly radius: number
  readonly iterations: number
}

/** Share of the elements that L1's first steps move. */
const FIRST_SPARSITY = 0.2

/**
 * Auto-PGD (Croce & Hein, "Reliable evaluation of adversarial robustness", ICML 2020), which chooses its step length
 * by itself, for Linf and L2; and its form for L1 (Croce & Hein, "Mind the box", ICML 2021).
 * Targeted, each restart aims at the next most likely wrong class of the clean image.
 *
 * Differs from the authors' code in one thing: an example is let go at its first misclassified iterate,
 * which changes no outcome, since examples don't influence one another.
 */
export function apgd(options: ApgdOptions): Attack {
  return async (task, oracle) => {
    const targets = options.loss === 'targeted-dlr' ? await chooseTargets(task, oracle, 'likely') : undefined
    const legs = options.largerRadii
      ? stretches(options.iterations)
      : [{ radius: 1, iterations: options.iterations }]
    let starts = task.examples
      .filter((example) => !targets || targets.has(example))
      .map((example) => ({
        example,
        x: start(task, example, legs[0]!.radius),
        target: targets?.get(example),
      }))
    for (const [i, leg] of legs.entries()) {
      const walks = await run(
        task,
        oracle,
        lossFor(options.loss, task.classes),
        leg,
        starts,
        i > 0 || options.largerRadii,
      )
      starts = walks.map(({ example, best, target }) => ({ example, x: best, target }))
    }
  }
}

interface Start {
  readonly example: Example
  readonly x: Float32Array
  readonly target: number | undefined
}

/** Runs one leg and answers the walks of those examples that still stand. */
async function run(
  task: Task,
  oracle: Oracle,
  loss: Loss,
  leg: Leg,
  starts: readonly Start[],
  warm: boolean,
): Promise<Walk[]> {
  const { norm } = task
  const sparse = norm.name === 'l1'
  const ends = sparse ? sparseCheckpoints(leg.iterations) : checkpoints(leg.iterations)
  /** Points of a wider ball are steps on the way, not results. */
  const release = (walks: Walk[], logits: Float32Array[]) =>
    leg.radius > 1 ? Promise.resolve(walks) : submitMisclassified(oracle, walks, logits)

  for (const { example, x } of starts) norm.project(x, example.origin, leg.radius * example.eps)
  const queries = starts.map(({ example, x, target }) => ({
    example,
    x,
    ...(target !== undefined && { target }),
  }))
  const first = await oracle.gradients(queries, loss)
  let walks = starts.map(({ example, x, target }, i) => {
    const slope = first[i]!
    const radius = leg.radius * example.eps
    const movedBefore = warm ? moved(x, example.origin) : x.length
    return begin(example, x, slope, {
      target,
      step: sparse ? radius : 2 * radius,
      moved: elementsMoved(warm ? movedBefore / 1.5 : FIRST_SPARSITY * x.length, x.length),
      check: sparse ? adaptiveSparsity(radius, movedBefore) : halving(slope.loss),
    })
  })
  walks = await release(
    walks,
    first.map((slope) => slope.logits),
  )

  for (let k = 0; k < leg.iterations && walks.length > 0; k++) {
    for (const walk of walks) advance(walk, norm, leg.radius * walk.example.eps, k === 0)
    const slopes = await oracle.gradients(walks, loss)
    for (const [i, walk] of walks.entries()) {
      learn(walk, slopes[i]!)
    }
    const standing = await release(
      walks,
      slopes.map((slope) => slope.logits),
    )
    if (ends.has(k + 1)) for (const walk of standing) if (walk.check.due(walk)) goBack(walk)
    walks = standing
  }
  return walks
}

/** A random point of the ball's surface, as the authors start. */
function start(task: Task, example: Example, radius: number): Float32Array {
  const x = new Float32Array(example.origin.length)
  task.norm.surface(x, example.origin, radius * example.eps, example.key)
  return x
}

function stretches(iterations: number): Leg[] {
  const third = Math.ceil(0.3 * iterations)
  return [
    { radius: 3, iterations: third },
    { radius: 2, iterations: third },
    { radius: 1, iterations: Math.max(iterations - 2 * third, 1) },
  ]
}

/** The ratio losses need three and four classes; below that the margin stands in, and the result carries a flag. */
function lossFor(loss: ApgdOptions['loss'], classes: number): Loss {
  if (loss === 'dlr' && classes < 3) return 'margin'
  if (loss === 'targeted-dlr' && classes < 4) return 'difference'
  return loss
}
