import type { NormName } from '../../../converters/perturb/norm.ts'
import type { Attack, Example, Query, Task } from '../attack.ts'
import { margin } from '../attack.ts'
import { squareL1, squareL2 } from './bumps.ts'
import { squareLinf } from './linf.ts'

/** How squares are placed in one norm. */
export interface Squares {
  /** The first perturbed image. */
  begin(example: Example, shape: Task['shape']): Float32Array
  /** A changed copy of `best`; `share` is the part of the image that the square covers. */
  propose(
    example: Example,
    best: Float32Array,
    shape: Task['shape'],
    share: number,
    query: number,
  ): Float32Array
}

interface Walk extends Query {
  best: Float32Array
  /** Margin of the best point, at most 0 while it stands. */
  height: number
}

/**
 * Square (Andriushchenko, Croce, Flammarion & Hein, "Square Attack", ECCV 2020): random search with squares at random
 * places, on the margin loss. Needs the logits, no gradient. A change is kept if the margin improves.
 *
 * Differs from the authors' code in one thing: each example draws its own windows, where that code draws one for
 * the whole batch; so an example's fate does not depend on its neighbours.
 */
export function square({ queries }: { readonly queries: number }): Attack {
  return async (task, oracle) => {
    const squares = SQUARES[task.norm.name]
    let walks: Walk[] = task.examples.map((example) => {
      const best = squares.begin(example, task.shape)
      return { example, x: best, best, height: Number.NEGATIVE_INFINITY }
    })
    for (let query = 0; query <= queries && walks.length > 0; query++) {
      const proposals =
        query === 0
          ? walks
          : walks.map((walk) => ({
              walk,
              example: walk.example,
              x: squares.propose(walk.example, walk.best, task.shape, shareAt(query - 1), query),
            }))
      const answers = await oracle.logits(proposals)
      const fallen = new Set<Walk>()
      const candidates: Query[] = []
      for (const [i, walk] of walks.entries()) {
        const height = margin(answers[i]!, walk.example.label)
        if (height > walk.height) {
          walk.height = height
          walk.best = proposals[i]!.x
        }
        if (height >= 0) candidates.push(proposals[i]!)
      }
      if (candidates.length > 0) {
        const verdicts = await oracle.submit(candidates)
        const broken = new Set(candidates.filter((_, i) => verdicts[i]).map(({ example }) => example))
        for (const walk of walks) if (broken.has(walk.example)) fallen.add(walk)
      }
      walks = walks.filter((walk) => !fallen.has(walk))
    }
  }
}

const SQUARES: Readonly<Record<NormName, Squares>> = { linf: squareLinf, l2: squareL2, l1: squareL1 }

const FIRST_SHARE = 0.8
/** Iterations after which the share halves; not stretched to the number of queries, as in AutoAttack. */
const HALVINGS = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]

/** Share of the image that the square covers in an iteration, counted from 0. */
export const shareAt = (iteration: number): number =>
  FIRST_SHARE / 2 ** HALVINGS.filter((after) => iteration > after).length
