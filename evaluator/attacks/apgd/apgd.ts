import {
  type Attack,
  type Example,
  type Loss,
  type Oracle,
  submitMisclassified,
  type Task,
} from '../attack.ts'
import { chooseTargets } from '../targets.ts'
import { halving } from './halving.ts'
import { sparse } from './sparse.ts'
import { beginAt, goBack, learn, type Pace, type Walk } from './walk.ts'

export interface ApgdOptions {
  readonly loss: 'ce' | 'dlr' | 'targeted-dlr'
  readonly iterations: number
  /** For L1: begin with three times the radius, then twice, then once, over 30, 30 and 40 % of the iterations. */
  readonly largerRadii: boolean
}

/** A stretch of iterations with one radius, in eps. */
interface Leg {
  readonly radius: number
  readonly iterations: number
}

/** Where a leg begins. */
interface Start {
  readonly example: Example
  readonly x: Float32Array
  readonly target?: number | undefined
}

/**
 * Auto-PGD (Croce & Hein, "Reliable evaluation of adversarial robustness", ICML 2020), which chooses its step length
 * by itself, for Linf and L2; and its form for L1 (Croce & Hein, "Mind the box", ICML 2021).
 * Targeted, each turn aims at the next most likely wrong class of the clean image.
 *
 * Differs from the authors' code in one thing: an example is let go at its first misclassified iterate,
 * which changes no outcome, since examples don't influence one another.
 */
export function apgd({ loss, iterations, largerRadii }: ApgdOptions): Attack {
  const legs = largerRadii ? stretches(iterations) : [{ radius: 1, iterations }]
  return async (task, oracle) => {
    const targets = loss === 'targeted-dlr' ? await chooseTargets(task, oracle, 'likely') : undefined
    let starts = task.examples
      .filter((example) => !targets || targets.has(example))
      .map((example): Start => {
        const x = new Float32Array(example.origin.length)
        task.norm.surface(x, example.origin, legs[0]!.radius * example.eps, example.key)
        return { example, x, target: targets?.get(example) }
      })
    for (const leg of legs) {
      const walks = await run(leg, starts, task, oracle, {
        loss: lossFor(loss, task.classes),
        warm: largerRadii,
      })
      starts = walks.map(({ example, best, target }) => ({ example, x: best, target }))
    }
  }
}

/** Runs one leg and answers the walks of those examples that still stand. */
async function run(
  leg: Leg,
  starts: readonly Start[],
  task: Task,
  oracle: Oracle,
  { loss, warm }: { loss: Loss; warm: boolean },
): Promise<Walk[]> {
  const { norm } = task
  const gait = norm.name === 'l1' ? sparse : halving(norm)
  const ends = gait.checkpoints(leg.iterations)
  /** Those that no misclassified image lets go. Points of a wider ball are steps on the way, not results. */
  const standing = (walks: Walk[], logits: Float32Array[]) =>
    leg.radius > 1 ? walks : submitMisclassified(oracle, walks, logits)

  for (const { example, x } of starts) norm.project(x, example.origin, leg.radius * example.eps)
  const first = await oracle.gradients(
    starts.map(({ example, x, target }) => ({ example, x, ...(target !== undefined && { target }) })),
    loss,
  )
  const begun = starts.map(({ example, x, target }, i) =>
    beginAt(example, x, leg.radius * example.eps, first[i]!, target),
  )
  const paces = new Map<Walk, Pace>(begun.map((walk) => [walk, gait.begin(walk, warm)]))
  let walks = await standing(
    begun,
    first.map((slope) => slope.logits),
  )

  for (let k = 1; k <= leg.iterations && walks.length > 0; k++) {
    for (const walk of walks) paces.get(walk)!.advance(walk)
    const slopes = await oracle.gradients(walks, loss)
    for (const [i, walk] of walks.entries()) {
      learn(walk, slopes[i]!)
      paces.get(walk)!.note(slopes[i]!.loss)
    }
    walks = await standing(
      walks,
      slopes.map((slope) => slope.logits),
    )
    if (ends.has(k)) for (const walk of walks) if (paces.get(walk)!.turn(walk)) goBack(walk)
  }
  return walks
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
