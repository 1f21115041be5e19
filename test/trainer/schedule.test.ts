import { expect, it } from 'vitest'
import type { Recipe } from '../../manifests/schema/recipe.ts'
import { learningRateAt, stepsOf } from '../../trainer/schedule.ts'

type Optimiser = Recipe['optimiser']
const optimiser = (rest: Partial<Optimiser>): Optimiser => ({
  learningRate: 1,
  momentum: 0.9,
  nesterov: false,
  weightDecay: 0,
  accumulate: 1,
  schedule: { kind: 'constant' },
  ...rest,
})
const rates = (rest: Partial<Optimiser>, steps: readonly number[], total = 100): number[] =>
  steps.map((step) => Number(learningRateAt(optimiser(rest), step, total, 10).toFixed(6)))

it('measures durations in steps', () => {
  expect(stepsOf({ epochs: 2.5 }, 10)).toBe(25)
  expect(stepsOf({ steps: 7 }, 10)).toBe(7)
})

it('warms up in a straight line to the full rate', () => {
  const warmUp = { over: { epochs: 1 }, from: 0.5 }
  expect(rates({ warmUp }, [0, 4, 9, 10])).toEqual([0.55, 0.75, 1, 1])
})

it('falls at milestones', () => {
  const schedule = { kind: 'step' as const, milestones: [{ epochs: 3 }, { steps: 60 }], factor: 0.1 }
  expect(rates({ schedule }, [0, 29, 30, 59, 60])).toEqual([1, 1, 0.1, 0.1, 0.01])
})

it('follows a cosine down to its end', () => {
  expect(rates({ schedule: { kind: 'cosine', end: 0.2 } }, [0, 50, 100])).toEqual([1, 0.6, 0.2])
})

it('rises to its peak and falls again', () => {
  const schedule = { kind: 'cyclic' as const, peak: 0.2 }
  expect(rates({ schedule }, [0, 19, 20, 59, 99])).toEqual([0.025, 0.975, 0.99375, 0.50625, 0.00625])
})
