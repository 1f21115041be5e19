import { describe, expect, it } from 'vitest'
import type { Oracle } from '../../../evaluator/attacks/attack.ts'
import { averaged } from '../../../evaluator/attacks/eot.ts'
import { type PgdOptions, pgd } from '../../../evaluator/attacks/pgd.ts'
import { chooseTargets } from '../../../evaluator/attacks/targets.ts'
import { keepBooks } from '../../../evaluator/protocol/books.ts'
import { plainModel, taskFor } from './models.ts'

const model = plainModel({ hidden: 12, key: 4 })
const task = taskFor(model, { norm: 'linf', eps: 0.03, rows: 4 })
const PGD: PgdOptions = {
  loss: 'ce',
  iterations: [8],
  step: 0.25,
  schedule: 'constant',
  start: 'random',
  momentum: 0,
  score: 'final',
}

describe('pgd scored at several iterations', () => {
  it('is at each of them where a run of that many would end', async () => {
    const ladder = keepBooks(task, model)
    await pgd({ ...PGD, iterations: [2, 5, 8] })(task, ladder)
    for (const iterations of [2, 5, 8]) {
      const alone = keepBooks(task, model)
      await pgd({ ...PGD, iterations: [iterations] })(task, alone)
      for (const { row } of task.examples) {
        const shared = ladder.entries.get(iterations)!.get(row)!
        const own = alone.entries.get(iterations)!.get(row)!
        expect(shared.exhibit.image).toEqual(own.exhibit.image)
        expect(shared.backwards).toBe(own.backwards)
      }
    }
    expect([...ladder.backwards]).toEqual([8, 8, 8, 8])
  })
})

describe('targets', () => {
  const books = () => keepBooks(task, model)

  it('random ones are wrong classes, and the same for the same key', async () => {
    const targets = await chooseTargets(task, books(), 'random')
    expect(await chooseTargets(task, books(), 'random')).toEqual(targets)
    for (const example of task.examples) {
      expect(targets.get(example)).not.toBe(example.label)
      expect(targets.get(example)).toBeGreaterThanOrEqual(0)
      expect(targets.get(example)).toBeLessThan(model.classes)
    }
  })

  it('walk from the most likely wrong class to the least likely, turn by turn', async () => {
    for (const example of task.examples) {
      const order = model.logitsOf(example.origin).map((z, k) => [z, k] as const)
      const wrong = order
        .sort(([a], [b]) => b - a)
        .map(([, k]) => k)
        .filter((k) => k !== example.label)
      for (let turn = 0; turn < 4; turn++)
        expect((await chooseTargets({ ...task, turn }, books(), 'likely')).get(example)).toBe(wrong[turn])
      expect((await chooseTargets(task, books(), 'least-likely')).get(example)).toBe(wrong[3])
    }
  })

  it('all of them leave out the label', async () => {
    const seen = await Promise.all(
      [0, 1, 2, 3].map((turn) => chooseTargets({ ...task, turn }, books(), 'all')),
    )
    for (const example of task.examples)
      expect(new Set([...seen.map((targets) => targets.get(example)), example.label]).size).toBe(5)
  })

  it('given ones are left out where the data set gives none', async () => {
    const [first, ...rest] = task.examples
    const some = { ...task, examples: [{ ...first!, target: (first!.label + 1) % 5 }, ...rest] }
    const targets = await chooseTargets(some, books(), 'given')
    expect([...targets.values()]).toEqual([(first!.label + 1) % 5])
  })
})

describe('expectation over transformation', () => {
  it('averages loss and gradient over the passes', async () => {
    const books = keepBooks(task, model)
    let pass = 0
    const noisy: Oracle = {
      ...books,
      async gradients(queries, loss) {
        pass++
        const slopes = await books.gradients(queries, loss)
        return slopes.map((slope) => ({ ...slope, loss: pass, gradient: slope.gradient.map(() => pass) }))
      },
    }
    const queries = task.examples.map((example) => ({ example, x: example.origin }))
    const [slope] = await averaged(noisy, 4).gradients(queries, 'ce')
    expect(slope!.loss).toBeCloseTo(2.5, 6)
    expect(slope!.gradient[0]).toBeCloseTo(2.5, 6)
    expect([...books.backwards]).toEqual([4, 4, 4, 4])
  })
})
