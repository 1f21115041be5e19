import { describe, expect, it } from 'vitest'
import type { NormName } from '../../../converters/perturb/norm.ts'
import type { Attack, Example, Task } from '../../../evaluator/attacks/attack.ts'
import { attackOf, isBounded, turnsOf } from '../../../evaluator/attacks/table.ts'
import { END, keepBooks } from '../../../evaluator/protocol/books.ts'
import { attackSchema } from '../../../manifests/schema/battery.ts'
import { exactRadius, type PlainModel, plainModel, taskFor } from './models.ts'

/** Every attack, with how near to the exact radius it must get on a linear model: 1.05 is five per cent beyond. */
const ATTACKS: [entry: object, norms: NormName[], reach: number][] = [
  [{ kind: 'pgd', name: 'pgd', iterations: 40, step: 0.1 }, ['linf', 'l2'], 1.02],
  [{ kind: 'pgd', name: 'pgd-l1', iterations: 100, step: 0.1 }, ['l1'], 1.15],
  [{ kind: 'pgd', name: 'fgsm', iterations: 1, step: 1, start: 'clean' }, ['linf'], 1.02],
  [
    { kind: 'pgd', name: 'mi-fgsm', iterations: 10, step: 0.1, start: 'clean', momentum: 1 },
    ['linf', 'l2'],
    1.02,
  ],
  [
    { kind: 'pgd', name: 'pgd-margin', iterations: 40, step: 0.2, loss: 'margin', schedule: 'cosine' },
    ['linf', 'l2'],
    1.02,
  ],
  [
    { kind: 'pgd', name: 'pgd-dlr', iterations: 40, step: 0.2, loss: 'dlr', schedule: 'linear' },
    ['linf', 'l2'],
    1.05,
  ],
  [{ kind: 'pgd', name: 'pgd-all', iterations: 40, step: 0.1, targets: 'all' }, ['linf', 'l2'], 1.02],
  [{ kind: 'apgd', name: 'apgd-ce', iterations: 50, loss: 'ce' }, ['linf', 'l2'], 1.02],
  [{ kind: 'apgd', name: 'apgd-dlr', iterations: 50, loss: 'dlr' }, ['linf', 'l2'], 1.02],
  [{ kind: 'apgd', name: 'apgd-t', iterations: 50, loss: 'targeted-dlr', targets: 4 }, ['linf', 'l2'], 1.02],
  [{ kind: 'apgd', name: 'apgd-ce-l1', iterations: 100, loss: 'ce', largerRadii: true }, ['l1'], 1.5],
  [
    { kind: 'apgd', name: 'apgd-t-l1', iterations: 100, loss: 'targeted-dlr', targets: 4, largerRadii: true },
    ['l1'],
    1.5,
  ],
  [{ kind: 'fab', name: 'fab', iterations: 30 }, ['linf', 'l2', 'l1'], 1.02],
  [{ kind: 'fab', name: 'fab-t', iterations: 30, targets: 4 }, ['linf', 'l2', 'l1'], 1.02],
  [{ kind: 'square', name: 'square', queries: 1000 }, ['linf'], 1.6],
  [{ kind: 'square', name: 'square', queries: 1000 }, ['l2'], 4],
  [{ kind: 'square', name: 'square', queries: 1000 }, ['l1'], 6],
  [{ kind: 'deepfool', name: 'deepfool' }, ['linf', 'l2'], 1.05],
  [{ kind: 'carlini-wagner', name: 'cw', iterations: 300, searches: 9, initialConstant: 0.01 }, ['l2'], 1.1],
  [{ kind: 'fmn', name: 'fmn', iterations: 100 }, ['linf', 'l2', 'l1'], 1.1],
  [{ kind: 'hopskipjump', name: 'hopskipjump', queries: 3000 }, ['linf', 'l2'], 1.6],
  [{ kind: 'noise', name: 'noise', draws: 50 }, ['linf', 'l2', 'l1'], Number.POSITIVE_INFINITY],
]

const CASES = ATTACKS.flatMap(([entry, norms, reach]) =>
  norms.map((norm) => ({ entry: attackSchema.parse(entry), norm, reach })),
)

/** Runs all turns of an attack, as the schedule does, and answers the rows that were broken. */
async function run(entry: ReturnType<typeof attackSchema.parse>, model: PlainModel, task: Task) {
  const attack: Attack = attackOf(entry)
  const broken = new Map<number, { image: Float32Array; distance: number }>()
  let rejections = 0
  let found = 0
  for (let turn = 0; turn < turnsOf(entry, model.classes); turn++) {
    const standing = task.examples.filter(({ row }) => !broken.has(row))
    const books = keepBooks(task, model)
    await attack({ ...task, examples: standing, turn }, books)
    for (const [row, { verdict, exhibit }] of books.entries.get(END) ?? []) {
      if (verdict.broken) broken.set(row, exhibit)
      if (verdict.misclassified) found++
    }
    for (const [, count] of books.rejected) rejections += count
  }
  return { broken, rejections, found }
}

describe.each(CASES)('$entry.name in $norm', ({ entry, norm, reach }) => {
  // One rival, so that the nearest boundary is also where every loss leads.
  const linear = plainModel({ live: 2 })
  const deep = plainModel({ hidden: 12, key: 4 })
  const radius = (example: Example) => exactRadius(linear, example, norm)

  it('breaks nothing within the exact radius of a linear model', async () => {
    const task = taskFor(linear, { norm, eps: (example) => 0.99 * radius(example) })
    expect((await run(entry, linear, task)).broken.size).toBe(0)
  })

  if (Number.isFinite(reach))
    it(`breaks everything at ${reach} times the exact radius`, async () => {
      const task = taskFor(linear, { norm, eps: (example) => reach * radius(example) })
      expect((await run(entry, linear, task)).broken.size).toBe(task.examples.length)
    })

  it('stays inside ball and range', async () => {
    const task = taskFor(deep, { norm, eps: { linf: 0.3, l2: 1.2, l1: 5 }[norm] })
    const { rejections } = await run(entry, deep, task)
    if (isBounded(entry)) expect(rejections).toBe(0)
  })

  it('does to an example the same alone as in company, and again', async () => {
    const task = taskFor(deep, { norm, eps: { linf: 0.12, l2: 0.5, l1: 2 }[norm] })
    const together = await run(entry, deep, task)
    expect((await run(entry, deep, task)).broken).toEqual(together.broken)
    for (const example of task.examples) {
      const alone = await run(entry, deep, { ...task, examples: [example] })
      expect(alone.broken.get(example.row)).toEqual(together.broken.get(example.row))
    }
  })
})
