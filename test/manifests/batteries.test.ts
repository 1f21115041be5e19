import { describe, expect, it } from 'vitest'
import { batteryIds, readBattery } from '../../manifests/batteries/read.ts'
import { batterySchema } from '../../manifests/schema/battery.ts'

describe('the batteries of the zoo', () => {
  it.each(batteryIds())('%s is valid and called as its file is', (id) => {
    expect(readBattery(id).id).toBe(id)
  })

  it('are those that the field knows', () => {
    expect(batteryIds()).toEqual(
      expect.arrayContaining([
        'autoattack',
        'autoattack-plus',
        'autoattack-rand',
        'madry',
        'minimal-norm',
        'quick',
        'xie2020',
      ]),
    )
  })

  it("hold AutoAttack's published settings", () => {
    const forLinf = readBattery('autoattack').attacks.filter(({ norms }) => norms?.includes('linf') ?? true)
    expect(forLinf).toMatchObject([
      { kind: 'apgd', loss: 'ce', iterations: 100, restarts: 1 },
      { kind: 'apgd', loss: 'targeted-dlr', iterations: 100, targets: 9, restarts: 1 },
      { kind: 'fab', iterations: 100, targets: 9, restarts: 1 },
      { kind: 'square', queries: 5000, restarts: 1 },
    ])
  })

  it("hold Xie & Yuille's: steps of eps/16 from a random start, but eps/10 at 10 iterations", () => {
    const { aggregation, decisive, attacks } = readBattery('xie2020')
    expect([aggregation, decisive]).toEqual(['each', 'pgd-2000'])
    expect(attacks).toMatchObject([
      { iterations: 10, step: 1 / 10, targets: 'random', start: 'random', score: 'final' },
      {
        iterations: [20, 30, 50, 100, 500, 1000, 2000],
        step: 1 / 16,
        targets: 'random',
        start: 'random',
        score: 'final',
      },
    ])
  })
})

describe('a battery of one’s own', () => {
  const battery = {
    schemaVersion: 1,
    id: 'own',
    version: '1',
    description: 'mine',
    aggregation: 'each',
    attacks: [{ kind: 'pgd', name: 'pgd', iterations: [1, 2], step: 0.5, score: 'final' }],
  }

  it.each([
    ['with one name twice for a norm', { attacks: [...battery.attacks, ...battery.attacks] }, 'two attacks'],
    ['decided by an attack that it has not', { decisive: 'pgd-3' }, 'pgd-1, pgd-2'],
    [
      'that scores any iterate at several iterations',
      { attacks: [{ ...battery.attacks[0], score: 'any' }] },
      'final iterates',
    ],
    ['with an unknown attack', { attacks: [{ kind: 'magic', name: 'magic' }] }, 'discriminator'],
  ])('%s is refused', (_, change, message) => {
    const result = batterySchema.safeParse({ ...battery, ...change })
    expect(result.error?.message).toContain(message)
  })

  it('is found by its path, and a missing one names those that exist', () => {
    expect(() => readBattery('none')).toThrow(
      expect.objectContaining({ code: 'not-found', hint: expect.stringContaining('autoattack') }),
    )
  })
})
