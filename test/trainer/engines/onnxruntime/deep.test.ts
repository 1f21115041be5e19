import { describe, expect, it } from 'vitest'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { uniforms } from '../../../../converters/perturb/random.ts'
import { resnetSchema } from '../../../../manifests/schema/recipe.ts'
import { OnnxruntimeEngine } from '../../../../trainer/engines/onnxruntime/engine.ts'
import { crossEntropy } from '../../../../trainer/losses.ts'
import { objectiveOf, resnetNetwork } from '../../../../trainer/network.ts'

const full = process.env.ZOO_TEST_FULL === '1'
const CLASSES = 10
const BATCH = 16

describe.skipIf(!full)('ResNet-638, thin (only with ZOO_TEST_FULL=1: it takes minutes)', () => {
  it('trains adversarially in steady memory', { timeout: 1_200_000 }, async () => {
    const spec = resnetSchema.parse({
      family: 'resnet',
      form: 'imagenet',
      block: 'bottleneck',
      depth: 638,
      width: 4,
    })
    const network = resnetNetwork(spec, [3, 64, 64], CLASSES, 1)
    const engine = new OnnxruntimeEngine({ weights: network.weights, statisticsMomentum: 0.9 })
    const { inference, training } = objectiveOf(network, 'main', crossEntropy)
    const image = Tensor.float32([BATCH, 3, 64, 64], uniforms([1], BATCH * 3 * 64 * 64))
    const target = Tensor.float32(
      [BATCH, CLASSES],
      Float32Array.from({ length: BATCH * CLASSES }, (_, i) => (i % (CLASSES + 1) === 0 ? 1 : 0)),
    )
    const losses: number[] = []
    const memory: number[] = []
    for (let step = 0; step < 100; step++) {
      const { gradients } = await engine.gradient(
        inference,
        { image, target },
        { of: 'loss', withRespectTo: ['image'] },
      )
      const attacked = image.floats.map((x, i) => x + (4 / 255) * Math.sign(gradients.image!.floats[i]!))
      const feeds = { image: Tensor.float32(image.dims, attacked), target }
      const { outputs } = await engine.accumulate(training, feeds, { of: 'loss', weight: 1 })
      await engine.update({
        learningRate: 0.02,
        momentum: 0.9,
        nesterov: false,
        weightDecay: 5e-4,
        gradientScale: 1,
      })
      losses.push(outputs.loss!.floats.reduce((sum, value) => sum + value, 0) / BATCH)
      memory.push(process.memoryUsage().rss)
    }
    engine.dispose()
    expect(losses.every(Number.isFinite)).toBe(true)
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 2)
    // Garbage comes and goes; what stays must not grow.
    const largest = (from: number, to: number) => Math.max(...memory.slice(from, to))
    expect(largest(75, 100)).toBeLessThan(1.15 * largest(25, 50))
    expect(largest(0, 100)).toBeLessThan(2e9)
  })
})
