import { describe, expect, it } from 'vitest'
import { tally } from '../../../evaluator/protocol/aggregate.ts'
import { budgetCurve } from '../../../evaluator/protocol/curve.ts'
import { raiseFlags } from '../../../evaluator/protocol/flags.ts'
import { unitId } from '../../../evaluator/protocol/unit.ts'
import { type PlainModel, taskFor } from '../attacks/models.ts'
import { SIZE, walkAll, workshopFor } from './workshop.ts'

const PGD = { kind: 'pgd', name: 'pgd', iterations: 5, step: 0.3 }

async function tallied(...args: Parameters<typeof workshopFor>) {
  const workshop = workshopFor(...args)
  const walked = await walkAll(workshop)
  return { ...tally(workshop.protocol, walked.blocks), ...walked, protocol: workshop.protocol }
}

describe('the worst case over attacks', () => {
  it('gives each attack what the others left, and each restart what the attack left', async () => {
    const { done, blocks, examples, attacks } = await tallied(
      [
        { ...PGD, restarts: 2 },
        { kind: 'square', name: 'square', queries: 10 },
      ],
      { protocol: { threat: { norm: 'linf', eps: 0.005, targeted: false } } },
    )
    for (const { clean, attacks } of blocks) {
      let standing = clean.rows.filter((_, i) => clean.outcomes[0]!.broken[i] === '0')
      for (const unit of attacks.flat()) {
        expect(unit.rows).toEqual(standing)
        standing = standing.filter((_, i) => unit.outcomes[0]!.broken[i] === '0')
      }
    }
    expect(examples.filter(({ clean }) => !clean).map(({ index }) => index)).toEqual([7, 15, 23])
    expect(examples.map(({ index }) => index)).toEqual(Array.from({ length: SIZE }, (_, i) => i))
    for (const attack of attacks) {
      const after = examples.filter(
        ({ robust, brokenBy }) => robust || (brokenBy === 'square' && attack.name === 'pgd'),
      ).length
      expect(attack.robustAccuracy).toBe(after / SIZE)
    }
    const pgdUnits = done.filter(({ work }) => typeof work === 'object' && work.name === 'pgd')
    expect(new Set(pgdUnits.map(({ restart }) => restart))).toEqual(new Set([0, 1]))
  })

  it('draws a curve that falls from the clean to the robust accuracy', async () => {
    const result = await tallied([PGD, { kind: 'fab', name: 'fab-t', iterations: 5, targets: 2 }])
    const curve = budgetCurve(result.protocol, result)
    const clean = result.examples.filter((example) => example.clean).length / SIZE
    const robust = result.examples.filter((example) => example.robust).length / SIZE
    expect(robust).toBeLessThan(clean)
    expect(curve[0]).toEqual({ backwards: 0, accuracy: clean })
    expect(curve.at(-1)!.accuracy).toBe(robust)
    for (const [i, point] of curve.entries()) {
      if (i === 0) continue
      expect(point.backwards).toBeGreaterThan(curve[i - 1]!.backwards)
      expect(point.accuracy).toBeLessThanOrEqual(curve[i - 1]!.accuracy)
    }
  })
})

describe('each attack by itself', () => {
  const LADDER = {
    kind: 'pgd',
    name: 'pgd',
    targets: 'random',
    iterations: [2, 6, 12],
    step: 0.2,
    score: 'final',
  }

  it('runs on every image, is scored at every iteration that it names, and reports success beside accuracy', async () => {
    const { done, attacks, examples } = await tallied([LADDER], {
      battery: { aggregation: 'each', decisive: 'pgd-12' },
    })
    expect(done.flatMap(({ work, rows }) => (typeof work === 'object' ? rows : []))).toHaveLength(SIZE)
    expect(attacks.map(({ name, iterations }) => [name, iterations])).toEqual([
      ['pgd-2', 2],
      ['pgd-6', 6],
      ['pgd-12', 12],
    ])
    for (const { robustAccuracy, targetRate } of attacks) {
      expect(targetRate).toBeGreaterThanOrEqual(0)
      expect(robustAccuracy + targetRate!).toBeLessThanOrEqual(1)
    }
    expect(examples.filter(({ robust }) => robust).length / SIZE).toBe(attacks.at(-1)!.robustAccuracy)
    expect(attacks.map(({ backwards }) => backwards)).toEqual([2 * SIZE, 6 * SIZE, 12 * SIZE])
    // The walk's price is that of its longest checkpoint, paid once.
    for (const { backwards } of examples) expect(backwards).toBe(12)
  })

  it('looks on for smaller perturbations, and reports their median', async () => {
    const { attacks, columns, examples, done } = await tallied(
      [
        { kind: 'fab', name: 'fab-t', iterations: 20, targets: 2 },
        { kind: 'fmn', name: 'fmn', iterations: 40 },
      ],
      { battery: { aggregation: 'each' } },
    )
    expect(attacks[0]!.medianNorm).toBeGreaterThan(0)
    expect(attacks[0]!.medianNorm).toBeCloseTo(attacks[1]!.medianNorm!, 2)
    for (const { index, clean, robust, brokenBy, norm } of examples) {
      if (!clean || robust) continue
      const found = columns.map(({ name, cells }) => ({ name, distance: cells.get(index)?.distance ?? 9 }))
      const nearest = found.reduce((best, other) => (other.distance < best.distance ? other : best))
      expect([brokenBy, norm]).toEqual([nearest.name, nearest.distance])
    }
    for (const { clean, robust, norm } of examples)
      if (clean && !robust) expect(norm).toBeLessThanOrEqual(0.02 + 2e-6)
    // The second target may be nearer than the first that was within eps.
    for (const { work, rows } of done) if (typeof work === 'object') expect(rows.length).toBeGreaterThan(3)
    const fab = done.filter(({ work }) => typeof work === 'object' && work.kind === 'fab')
    expect(fab.flatMap(({ rows }) => rows)).toHaveLength(2 * SIZE)
  })
})

describe("a unit's name", () => {
  const { protocol } = workshopFor([PGD])
  const unit = { work: protocol.attacks[0]!, restart: 0, rows: [1, 2, 3] }

  it('changes with everything that determines its result', () => {
    const names = [
      unitId(unit, protocol),
      unitId({ ...unit, restart: 1 }, protocol),
      unitId({ ...unit, rows: [1, 2] }, protocol),
      unitId({ ...unit, work: 'clean' }, protocol),
      unitId(unit, { ...protocol, seed: 6 }),
      unitId(unit, { ...protocol, threads: 2 }),
      unitId(unit, { ...protocol, threat: { ...protocol.threat, eps: 0.03 } }),
      unitId(unit, { ...protocol, model: { ...protocol.model, sha256: 'c'.repeat(64) } }),
      unitId(unit, { ...protocol, dataset: { ...protocol.dataset, sha256: 'c'.repeat(64) } }),
      unitId(unit, { ...protocol, software: { onnxruntime: '1' } }),
    ]
    expect(new Set(names).size).toBe(names.length)
  })

  it('does not change with what does not: the name of the model, the number of examples, the blocks', () => {
    const other = { ...protocol, model: { ...protocol.model, name: 'other' }, examples: 3, block: 3 }
    expect(unitId(unit, other)).toBe(unitId(unit, protocol))
  })
})

describe('warning flags', () => {
  const flagsOf = async (...args: Parameters<typeof workshopFor>) => {
    const { protocol, blocks, checks, examples, attacks, columns } = await tallied(...args)
    return raiseFlags({ protocol, blocks, checks, tally: { examples, attacks, columns } }).map(
      ({ name }) => name,
    )
  }
  const checked = { battery: { checks: 8 } }

  it('are not raised for an honest model', async () => {
    expect(await flagsOf([PGD, { kind: 'square', name: 'square', queries: 10 }], checked)).toEqual([])
  })

  it('are raised where gradients are hidden and Square finds what they miss', async () => {
    const honest = workshopFor([PGD]).model
    const hidden = {
      gradient: async (...args: Parameters<typeof honest.gradient>) => {
        const answer = await honest.gradient(...args)
        return { ...answer, gradient: answer.gradient.map(() => 0) }
      },
    }
    const flags = await flagsOf([PGD, { kind: 'square', name: 'square', queries: 200 }], {
      ...checked,
      model: hidden,
    })
    expect(flags).toEqual(
      expect.arrayContaining(['zero-gradients', 'unbounded-attack-fails', 'square-beats-gradients']),
    )
  })

  it('are raised for random answers, probabilities, and answers that are no numbers', async () => {
    const honest = workshopFor([PGD]).model
    let call = 0
    const random = {
      forward: async (x: Float32Array) => (await honest.forward(x)).map((z) => z + 0.01 * Math.sin(call++)),
    }
    expect(await flagsOf([PGD], { ...checked, model: random })).toContain('random')
    const soft = {
      forward: async (x: Float32Array) =>
        new Float32Array((x.length / 36) * 5).map((_, i) => (i % 5 === 0 ? 0.6 : 0.1)),
    }
    expect(await flagsOf([PGD], { ...checked, model: soft })).toContain('probabilities')
    const broken = {
      forward: async (x: Float32Array) => new Float32Array((x.length / 36) * 5).fill(Number.NaN),
    }
    expect(await flagsOf([PGD], { model: broken })).toContain('nan')
  })

  it('are raised where one step beats many', async () => {
    const honest = workshopFor([PGD]).model
    const clean = new Set(
      taskFor(honest as PlainModel, { norm: 'linf', eps: 0.1, rows: SIZE }).examples.map(({ origin }) =>
        origin.join(),
      ),
    )
    /** Points the right way from the clean images, and the wrong way from everywhere else. */
    const crooked = {
      gradient: async (...args: Parameters<typeof honest.gradient>) => {
        const answer = await honest.gradient(...args)
        const [{ x }] = args
        return {
          ...answer,
          gradient: answer.gradient.map((slope, i) =>
            clean.has(x.subarray(36 * Math.floor(i / 36), 36 * (Math.floor(i / 36) + 1)).join())
              ? slope
              : -slope,
          ),
        }
      },
    }
    expect(await flagsOf([PGD], { ...checked, model: crooked })).toContain('one-step-beats-iterative')
  })

  it('are raised where twice the iterations break more', async () => {
    const honest = workshopFor([PGD]).model
    let call = 0
    /** Shows one pixel's slope at a time. */
    const slow = {
      gradient: async (...args: Parameters<typeof honest.gradient>) => {
        const answer = await honest.gradient(...args)
        const pixel = call++ % 36
        return { ...answer, gradient: answer.gradient.map((slope, i) => (i % 36 === pixel ? slope : 0)) }
      },
    }
    const flags = await flagsOf([PGD], {
      ...checked,
      model: { ...slow, batch: 24 },
      protocol: { threat: { norm: 'linf', eps: 0.005, targeted: false } },
    })
    expect(flags).toContain('more-iterations-help')
  })

  it('are raised where images were handed in that cannot count', async () => {
    const { protocol, blocks, checks, examples, attacks, columns } = await tallied(
      [PGD, { kind: 'fab', name: 'fab', iterations: 5 }],
      { battery: { aggregation: 'each' } },
    )
    const strayed = blocks.map(({ clean, attacks }) => ({
      clean,
      attacks: attacks.map((units) =>
        units.map((unit) => ({ ...unit, rejected: { 'outside the ball': 2, 'outside [0,1]': 1 } })),
      ),
    }))
    const flags = raiseFlags({ protocol, blocks: strayed, checks, tally: { examples, attacks, columns } })
    const of = (attack: string) =>
      flags.filter(({ name, reason }) => name === 'rejected-images' && reason.includes(`of ${attack} were`))
    expect(of('pgd')).toHaveLength(2)
    // FAB looks for the smallest perturbation, and may find it outside the ball.
    expect(of('fab').map(({ reason }) => reason)).toEqual([expect.stringContaining('outside [0,1]')])
  })

  it('are raised where the clean accuracy is no better than chance', async () => {
    const wrong = { forward: async (x: Float32Array) => new Float32Array((x.length / 36) * 5) }
    expect(await flagsOf([PGD], { model: wrong })).toContain('clean-at-chance')
  })

  it('say that the ratio losses need more classes', async () => {
    const protocol = { classes: 3 }
    const { blocks, examples, attacks, columns } = await tallied([PGD])
    const own = workshopFor(
      [{ kind: 'apgd', name: 'apgd-t', loss: 'targeted-dlr', iterations: 5, targets: 2 }],
      { protocol },
    )
    const names = raiseFlags({
      protocol: own.protocol,
      blocks,
      checks: null,
      tally: { examples, attacks, columns },
    })
    expect(names.map(({ name }) => name)).toContain('few-classes')
  })
})
