import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { NormName } from '../../../converters/perturb/norm.ts'
import { apgd } from '../../../evaluator/attacks/apgd/apgd.ts'
import { shrinkingWindows } from '../../../evaluator/attacks/apgd/halving.ts'
import type { Oracle } from '../../../evaluator/attacks/attack.ts'
import { keepBooks } from '../../../evaluator/protocol/books.ts'
import { plainModel, taskFor } from './models.ts'

interface Golden {
  readonly cases: readonly {
    readonly norm: NormName
    readonly loss: 'ce' | 'dlr' | 'targeted-dlr'
    readonly row: number
    readonly eps: number
    readonly losses: readonly number[]
  }[]
}

const golden: Golden = JSON.parse(readFileSync(new URL('./apgd.golden.json', import.meta.url), 'utf8'))

describe('checkpoints', () => {
  it('of 100 iterations are the published ones', () => {
    expect([...shrinkingWindows(100)]).toEqual([22, 41, 57, 70, 80, 87, 93, 99])
  })

  it.each([1, 2, 5, 10, 20, 1000])('of %i iterations end inside them and never stand still', (iterations) => {
    const ends = [...shrinkingWindows(iterations)]
    expect(Math.max(...ends)).toBeLessThanOrEqual(iterations)
    expect(new Set(ends).size).toBe(ends.length)
  })
})

describe('apgd', () => {
  const model = plainModel({ hidden: 12, key: 4 })

  it.each(golden.cases)('walks as another implementation does: $norm $loss, image $row', async (known) => {
    const task = taskFor(model, { norm: known.norm, eps: known.eps, rows: 3 })
    const example = task.examples[known.row]!
    const books = keepBooks({ ...task, examples: [{ ...example, row: 0 }] }, model)
    const losses: number[] = []
    /** Notes the loss of every iterate, and lets no success end the walk. */
    const watching: Oracle = {
      ...books,
      async gradients(queries, loss) {
        const slopes = await books.gradients(queries, loss)
        losses.push(slopes[0]!.loss)
        return slopes
      },
      submit: async (queries) => queries.map(() => false),
    }
    const run = apgd({ loss: known.loss, iterations: 100, largerRadii: false })
    await run({ ...task, examples: [{ ...example, row: 0 }] }, watching)
    expect(losses.length).toBe(101)
    for (const [i, loss] of known.losses.entries()) expect(Math.abs(losses[i]! - loss)).toBeLessThan(1e-4)
  })
})
