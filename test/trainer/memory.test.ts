import * as tf from '@tensorflow/tfjs'
import { expect, it } from 'vitest'
import { methodSchema, resnetSchema } from '../../manifests/schema/recipe.ts'
import { Batches } from '../../trainer/data/batches.ts'
import { openEngine } from '../../trainer/engines/open.ts'
import { stepOf } from '../../trainer/methods/table.ts'
import { resnetNetwork } from '../../trainer/network.ts'
import { full } from '../data.ts'
import { stripes } from './stripes.ts'

const STEPS = full ? 5000 : 400

it(`holds no more after ${STEPS} steps than after a few`, async () => {
  const spec = {
    family: 'resnet',
    form: 'small',
    depth: 8,
    width: 4,
    stemStride: 2,
    norm: { kind: 'mixture' },
  }
  const network = resnetNetwork(resnetSchema.parse(spec), [1, 8, 8], 2, 0)
  const engine = await openEngine('wasm', { weights: network.weights, statisticsMomentum: 0.9 })
  const attack = { eps: 0.1, step: 0.05, steps: 1 }
  const step = await stepOf(methodSchema.parse({ name: 'pgd-at', attack, cleanRatio: 1 }), {
    network,
    engine,
    seed: 0,
    examples: 64,
    stepsPerEpoch: 8,
    labelSmoothing: 0.1,
    memory: new Map(),
    trained: ({ training }) => training,
    finish: () => {},
    update: () =>
      engine.update({
        learningRate: 0.01,
        momentum: 0.9,
        nesterov: true,
        weightDecay: 1e-4,
        gradientScale: 1,
        averaging: 0.99,
      }),
  })
  const batches = new Batches(stripes(64), 8, 0, 'pad-crop-flip')
  const run = async (from: number, to: number) => {
    for (let i = from; i < to; i++) await step(await batches.at(i))
    const { numTensors, numBytes } = tf.memory()
    return { numTensors, numBytes, rss: process.memoryUsage().rss }
  }
  const early = await run(0, 100)
  const late = await run(100, STEPS)
  expect([late.numTensors, late.numBytes]).toEqual([early.numTensors, early.numBytes])
  expect(late.rss - early.rss).toBeLessThan(64e6)
  engine.dispose()
  expect(tf.memory().numTensors).toBe(0)
}, 300_000)
