import { expect, it } from 'vitest'
import { readRecipe, recipeNames } from '../../manifests/recipes/read.ts'
import { recipeSchema } from '../../manifests/schema/recipe.ts'
import { IMAGENET_DEPTHS, stages } from '../../trainer/resnet/depths.ts'
import { learningRateAt } from '../../trainer/schedule.ts'

it.each(recipeNames())('%s is valid, named as its file, and of a depth that exists', (name) => {
  const recipe = readRecipe(name)
  expect(recipe.name).toBe(name)
  if (recipe.network.family === 'resnet') expect(stages(recipe.network).length).toBeGreaterThan(2)
})

it('follow the paper where they say so', () => {
  const { optimiser, batch, method, labelSmoothing } = readRecipe('resnet152-bn')
  expect(batch * optimiser.accumulate).toBe(4096)
  const perEpoch = 1000
  const rates = [0, 4999, 5000, 35_000, 70_000, 95_000].map((step) =>
    learningRateAt(optimiser, step, 110 * perEpoch, perEpoch),
  )
  expect(rates.map((rate) => Number(rate.toFixed(4)))).toEqual([0.1003, 1.6, 1.6, 0.16, 0.016, 0.0016])
  expect(labelSmoothing).toBe(0.1)
  expect(method).toMatchObject({
    name: 'pgd-at',
    attack: { eps: 16 / 255, step: 1 / 255, steps: 30, imageStart: 0.2, targeted: true, start: 'random' },
  })
  expect(readRecipe('resnet638-advbn').batchNorm.consistentOver).toEqual({ epochs: 10 })
})

it('say where a split of blocks is ours', () => {
  for (const [depth, { split }] of Object.entries(IMAGENET_DEPTHS))
    for (const name of recipeNames().filter((name) => name.startsWith(`resnet${depth}-`)))
      expect(/is ours/.test(readRecipe(name).description)).toBe(split === 'ours')
})

it('reports every bad field of a recipe at once', () => {
  expect(() => readRecipe('no-such-recipe')).toThrow(expect.objectContaining({ code: 'not-found' }))
  expect(() => readRecipe('package.json')).toThrow(
    expect.objectContaining({
      code: 'invalid-manifest',
      message: expect.stringMatching(/schemaVersion[\s\S]*network[\s\S]*method/),
    }),
  )
})

it('never leave a branch of a mixture norm untrained', () => {
  const recipe = readRecipe('cifar10-resnet20-advbn')
  const attack = { eps: 0.1, step: 0.05, steps: 2 }
  const refusal = (method: object) =>
    recipeSchema.safeParse({ ...recipe, method }).error?.issues.map(({ path }) => path.join('.'))
  for (const method of [
    { name: 'pgd-at', attack, cleanRatio: 0.2 },
    { name: 'fgsm-at', eps: 0.1 },
    { name: 'fast-at', eps: 0.1, cleanRatio: 1 },
    { name: 'alp', attack },
    { name: 'trades', attack },
    { name: 'advprop', attack },
    { name: 'awp', method: { name: 'mart', attack } },
  ])
    expect(refusal(method), method.name).toBeUndefined()
  for (const method of [
    { name: 'standard' },
    { name: 'pgd-at', attack },
    { name: 'fast-at', eps: 0.1 },
    { name: 'free-at', eps: 0.1, step: 0.1, replays: 4 },
    { name: 'awp', method: { name: 'pgd-at', attack } },
  ])
    expect(refusal(method), method.name).toEqual(['network.norm'])
})
