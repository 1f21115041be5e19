import { describe, expect, it } from 'vitest'
import { Tensor } from '../../converters/onnx/tensor.ts'
import { linf } from '../../converters/perturb/linf.ts'
import { readRecipe } from '../../manifests/recipes/read.ts'
import {
  methodSchema,
  recipeSchema,
  resnetSchema,
  trainingAttackSchema,
} from '../../manifests/schema/recipe.ts'
import { decorated } from '../../trainer/engines/decorate.ts'
import { openEngine } from '../../trainer/engines/open.ts'
import { type MethodContext, rampedAttack, type TrainingBatch } from '../../trainer/methods/method.ts'
import { stepOf } from '../../trainer/methods/table.ts'
import { resnetNetwork } from '../../trainer/network.ts'
import { stripes } from './stripes.ts'

const EPS = 0.2
const attackWith = (rest: object) =>
  trainingAttackSchema.parse({ eps: EPS, step: 0.05, steps: 3, start: 'random', ...rest })
const at = (step: number, rest: object) =>
  rampedAttack({ stepsPerEpoch: 5 } as MethodContext, { step } as TrainingBatch, attackWith(rest))

describe('an attack that grows', () => {
  it('has eps and step in a straight line from nothing, and stays whole from there on', () => {
    const ramp = { steps: 10 }
    for (const [step, share] of [
      [0, 0.1],
      [4, 0.5],
      [9, 1],
      [10, 1],
      [5000, 1],
    ] as const) {
      expect(at(step, { ramp }).eps).toBeCloseTo(share * EPS, 12)
      expect(at(step, { ramp }).step).toBeCloseTo(share * 0.05, 12)
      expect(at(step, { ramp }).steps).toBe(3)
    }
  })

  it('counts epochs by their batches, and is whole at once over nothing', () => {
    expect(at(4, { ramp: { epochs: 2 } }).eps).toBeCloseTo(EPS / 2, 12)
    expect(at(0, { ramp: { epochs: 0 } }).eps).toBe(EPS)
    expect(at(0, {}).eps).toBe(EPS)
  })

  it.each(['pgd-at', 'trades', 'mart', 'alp', 'awp'])('is what %s trains on', async (name) => {
    const attack = { eps: EPS, step: 0.15, steps: 3, ramp: { steps: 4 } }
    const plain = { name: name === 'awp' ? 'pgd-at' : name, attack }
    const spec = methodSchema.parse(name === 'awp' ? { name, method: plain } : plain)
    const small = { family: 'resnet', form: 'small', depth: 8, width: 4, stemStride: 2 }
    const network = resnetNetwork(resnetSchema.parse(small), [1, 8, 8], 2, 1)
    const engine = await openEngine('wasm', { weights: network.weights, statisticsMomentum: 0.9 })
    let attacked: Float32Array = new Float32Array()
    const watched = decorated(engine, {
      accumulate: (form, feeds, request) => {
        attacked = (feeds.adversarial ?? feeds.image)!.floats
        return engine.accumulate(form, feeds, request)
      },
    })
    const step = await stepOf(spec, {
      network,
      engine: watched,
      seed: 0,
      examples: 64,
      stepsPerEpoch: 8,
      labelSmoothing: 0,
      memory: new Map(),
      trained: ({ training }) => training,
      finish: () => {},
      update: () =>
        engine.update({ learningRate: 0.01, momentum: 0, nesterov: false, weightDecay: 0, gradientScale: 1 }),
    })
    const examples = Array.from({ length: 8 }, (_, i) => i)
    const { images, labels } = await stripes(64).read(examples)
    for (const [i, share] of [0.25, 0.5, 0.75, 1, 1].entries()) {
      await step({ images: Tensor.float32([8, 1, 8, 8], images), labels, examples, step: i })
      // Three steps of three quarters of eps reach the edge of the ball somewhere.
      expect(linf.distance(attacked.subarray(0, images.length), images)).toBeCloseTo(share * EPS, 5)
    }
    engine.dispose()
  })

  it('is refused where it would not be heeded, as wrong classes are', () => {
    const recipe = readRecipe('cifar10-resnet20-trades')
    const withMethod = (method: object) => recipeSchema.safeParse({ ...recipe, method }).success
    const attack = { eps: 0.1, step: 0.05, steps: 2 }
    expect(withMethod({ name: 'trades', attack })).toBe(true)
    expect(withMethod({ name: 'trades', attack: { ...attack, ramp: { steps: 5 } } })).toBe(true)
    expect(withMethod({ name: 'trades', attack: { ...attack, targeted: true } })).toBe(false)
    const iaat = { name: 'iaat', attack, gamma: 0.01 }
    expect(withMethod(iaat)).toBe(true)
    expect(withMethod({ ...iaat, attack: { ...attack, ramp: { steps: 5 } } })).toBe(false)
    expect(withMethod({ ...iaat, attack: { ...attack, targeted: true } })).toBe(false)
    expect(withMethod({ ...iaat, attack: { ...attack, eps: 0 } })).toBe(false)
    const validation = { ...recipe.validation, attack: { ...attack, ramp: { steps: 5 } } }
    expect(recipeSchema.safeParse({ ...recipe, validation }).success).toBe(false)
  })
})
