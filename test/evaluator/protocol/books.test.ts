import { describe, expect, it } from 'vitest'
import { END, keepBooks } from '../../../evaluator/protocol/books.ts'
import { inspect } from '../../../evaluator/protocol/judge.ts'
import type { AttackedModel } from '../../../evaluator/protocol/model.ts'
import { plainModel, taskFor } from '../attacks/models.ts'

const model = plainModel({ hidden: 12, key: 4, batch: 3 })
const task = taskFor(model, { norm: 'linf', eps: 0.1, rows: 7 })
const [example] = task.examples

describe('the books', () => {
  it('ask in batches, answer in order, and count passes by example', async () => {
    const sizes: number[] = []
    const watched: AttackedModel = {
      ...model,
      forward: (x) => {
        sizes.push(x.length / 36)
        return model.forward(x)
      },
    }
    const books = keepBooks(task, watched)
    const queries = [...task.examples, example!].map((one) => ({ example: one, x: one.origin }))
    const logits = await books.logits(queries)
    expect(sizes).toEqual([3, 3, 2])
    for (const [i, { x }] of queries.entries())
      for (const [k, z] of model.logitsOf(x).entries()) expect(logits[i]![k]).toBeCloseTo(z, 5)
    await books.gradients(queries.slice(0, 2), 'ce')
    await books.submit(queries.slice(0, 1))
    expect([...books.forwards]).toEqual([4, 2, 1, 1, 1, 1, 1])
    expect([...books.backwards]).toEqual([1, 1, 0, 0, 0, 0, 0])
  })

  it('keep the nearest misleading image, and a correct one only where none misleads', async () => {
    /** Misled by everything brighter than the clean image. */
    const touchy: AttackedModel = {
      ...model,
      async forward(x) {
        const answer = new Float32Array((x.length / 36) * 5)
        for (let i = 0; i < x.length / 36; i++)
          answer[5 * i + (x[36 * i]! > example!.origin[0]! ? (example!.label + 1) % 5 : example!.label)] = 1
        return answer
      },
    }
    const books = keepBooks(task, touchy)
    const brighter = (by: number) => ({ example: example!, x: example!.origin.map((value) => value + by) })
    expect(await books.submit([brighter(0)])).toEqual([false])
    expect(await books.submit([brighter(0.08)])).toEqual([true])
    expect(await books.submit([brighter(0.02)])).toEqual([true])
    expect(await books.submit([brighter(0.05)])).toEqual([true])
    expect(await books.submit([brighter(0)])).toEqual([false])
    expect(books.entries.get(END)!.get(0)!.exhibit.distance).toBeCloseTo(0.02, 6)
    // Outside the ball: misleading, but it does not count, and does not replace what does.
    expect(await books.submit([brighter(0.11)])).toEqual([false])
    expect([...books.rejected]).toEqual([['outside the ball', 1]])
    expect(books.entries.get(END)!.get(0)!.verdict.broken).toBe(true)
  })

  it('notice answers that are no numbers, and count them as wrong', async () => {
    const books = keepBooks(task, {
      ...model,
      forward: async (x) => new Float32Array((x.length / 36) * 5).fill(Number.NaN),
    })
    expect(await books.submit([{ example: example!, x: example!.origin }])).toEqual([true])
    expect(books.nans).toBe(1)
  })
})

describe('a slope that is no number', () => {
  it('is noticed, and moves nothing where it is, but does not spoil the rest of the image', async () => {
    const spoilt: AttackedModel = {
      ...model,
      async gradient(...args) {
        const answer = await model.gradient(...args)
        answer.gradient[4] = Number.NaN
        return answer
      },
    }
    const books = keepBooks(task, spoilt)
    const queries = [{ example: example!, x: example!.origin }]
    const [honest] = await keepBooks(task, model).gradients(queries, 'ce')
    const [slope] = await books.gradients(queries, 'ce')
    expect(books.nans).toBe(1)
    expect(slope!.gradient).toEqual(honest!.gradient.map((value, i) => (i === 4 ? 0 : value)))
  })
})

describe('the inspection of an image', () => {
  const shifted = (by: number) => example!.origin.map((value) => value + by)

  it('allows rounding at the edge of the ball, and no more', () => {
    expect(inspect(shifted(0.1), example!, task.norm).rejected).toBeNull()
    expect(inspect(shifted(0.1001), example!, task.norm).rejected).toBe('outside the ball')
  })

  it('refuses what lies outside [0,1] or is no number', () => {
    const x = example!.origin.slice()
    x[3] = 1.01
    expect(inspect(x, { ...example!, eps: 1 }, task.norm).rejected).toBe('outside [0,1]')
    x[3] = Number.NaN
    expect(inspect(x, { ...example!, eps: 1 }, task.norm).rejected).toBe('not a number')
  })
})
