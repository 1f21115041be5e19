import type { Duration, Recipe } from '../manifests/schema/recipe.ts'

/** Durations of a recipe in optimiser steps. */
export const stepsOf = (duration: Duration, stepsPerEpoch: number): number =>
  'steps' in duration ? duration.steps : Math.round(duration.epochs * stepsPerEpoch)

/** The learning rate of an optimiser step, counted from 0, of `total`. */
export function learningRateAt(
  optimiser: Recipe['optimiser'],
  step: number,
  total: number,
  stepsPerEpoch: number,
): number {
  const { learningRate, warmUp, schedule } = optimiser
  const warm = warmUp ? stepsOf(warmUp.over, stepsPerEpoch) : 0
  if (warmUp && step < warm) return warmUp.from + ((learningRate - warmUp.from) * (step + 1)) / warm
  switch (schedule.kind) {
    case 'constant':
      return learningRate
    case 'step': {
      const passed = schedule.milestones.filter((milestone) => step >= stepsOf(milestone, stepsPerEpoch))
      return learningRate * schedule.factor ** passed.length
    }
    case 'cosine': {
      const progress = (step - warm) / Math.max(total - warm, 1)
      return schedule.end + ((learningRate - schedule.end) * (1 + Math.cos(Math.PI * progress))) / 2
    }
    case 'cyclic': {
      // Half a step in, so that neither the first nor the last step has a rate of 0.
      const progress = (step + 0.5) / total
      const rising = schedule.peak > 0 ? progress / schedule.peak : 1
      const falling = schedule.peak < 1 ? (1 - progress) / (1 - schedule.peak) : 1
      return learningRate * Math.min(rising, falling)
    }
  }
}
