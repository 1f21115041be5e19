import * as tf from '@tensorflow/tfjs'
import { expect, it, vi } from 'vitest'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { uniforms } from '../../../../converters/perturb/random.ts'
import { resnetSchema } from '../../../../manifests/schema/recipe.ts'
import { openEngine } from '../../../../trainer/engines/open.ts'
import { crossEntropy } from '../../../../trainer/losses.ts'
import { objectiveOf, resnetNetwork } from '../../../../trainer/network.ts'
import { full } from '../../../data.ts'

const STEP = { learningRate: 0.1, momentum: 0.9, nesterov: false, weightDecay: 0, gradientScale: 1 }

/** What one training step and one attack step give, and the most bytes that tfjs held in the training pass. */
async function measured(depth: number, width: number, recompute: boolean) {
  const spec = { family: 'resnet', form: 'imagenet', block: 'bottleneck', depth, width }
  const network = resnetNetwork(resnetSchema.parse(spec), [3, 32, 32], 4, 0)
  const engine = await openEngine('wasm', { weights: network.weights, statisticsMomentum: 0.9, recompute })
  const objective = objectiveOf(network, 'main', crossEntropy)
  const feeds = {
    image: Tensor.float32([4, 3, 32, 32], uniforms([1], 4 * 3 * 32 * 32)),
    target: Tensor.float32([4, 4], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]),
  }
  const tensors = tf.memory().numTensors
  let peakBytes = 0
  // Every kernel of the wasm backend gets the place for its result from here.
  const backend = tf.backend() as unknown as { makeOutput(...args: unknown[]): unknown }
  const makeOutput = backend.makeOutput.bind(backend)
  vi.spyOn(backend, 'makeOutput').mockImplementation((...args) => {
    peakBytes = Math.max(peakBytes, tf.memory().numBytes)
    return makeOutput(...args)
  })
  await engine.accumulate(objective.training, feeds, { of: 'loss', weight: 1 })
  vi.restoreAllMocks()
  await engine.update(STEP)
  const state = await engine.state()
  const attack = await engine.gradient(objective.inference, feeds, { of: 'loss', withRespectTo: ['image'] })
  const made = tf.memory().numTensors - tensors
  engine.dispose()
  return { peakBytes, state, image: attack.gradients.image!, made }
}

it('computes the same numbers in less memory', async () => {
  const [kept, recomputed] = [await measured(50, 4, false), await measured(50, 4, true)]
  expect([...recomputed.state.keys()]).toEqual([...kept.state.keys()])
  for (const [name, tensor] of kept.state) expect(recomputed.state.get(name)!.floats).toEqual(tensor.floats)
  expect(recomputed.image.floats).toEqual(kept.image.floats)
  expect(recomputed.peakBytes).toBeLessThan(0.6 * kept.peakBytes)
  expect(recomputed.made).toBe(kept.made)
})

it.skipIf(!full)(
  `trains a step of ResNet-638 within half of the memory, weights included${full ? '' : ' (skipped: only in test:full)'}`,
  async () => {
    const [kept, recomputed] = [await measured(638, 4, false), await measured(638, 4, true)]
    for (const [name, tensor] of kept.state) expect(recomputed.state.get(name)!.floats).toEqual(tensor.floats)
    expect(recomputed.peakBytes).toBeLessThan(0.5 * kept.peakBytes)
  },
  120_000,
)
