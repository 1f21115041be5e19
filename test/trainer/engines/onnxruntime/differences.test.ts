import { expect, it } from 'vitest'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { normals, uniforms } from '../../../../converters/perturb/random.ts'
import { resnetSchema } from '../../../../manifests/schema/recipe.ts'
import { OnnxruntimeEngine } from '../../../../trainer/engines/onnxruntime/engine.ts'
import { crossEntropy } from '../../../../trainer/losses.ts'
import { objectiveOf, resnetNetwork } from '../../../../trainer/network.ts'

const feeds = {
  image: Tensor.float32([4, 1, 6, 6], uniforms([3], 144)),
  target: Tensor.float32([4, 2], [1, 0, 0, 1, 0.5, 0.5, 1, 0]),
}

// A smooth network, so that differences in float32 are good to a fraction of a percent.
const spec = resnetSchema.parse({
  family: 'resnet',
  form: 'small',
  depth: 8,
  width: 2,
  activation: 'softplus',
  norm: { kind: 'batch' },
})

it('computes the gradients of weights and images that finite differences of the loss measure', async () => {
  const network = resnetNetwork(spec, [1, 6, 6], 2, 3)
  const weights = network.weights.map(({ name, role, value }, i) => ({
    name,
    role,
    value: Tensor.float32(
      value.dims,
      normals([i], value.size).map((noise, k) => value.floats[k]! + 0.1 * Math.abs(noise)),
    ),
  }))
  const engine = new OnnxruntimeEngine({ weights, statisticsMomentum: 1 })
  const { training } = objectiveOf(network, 'main', crossEntropy)
  const lossAt = async (moved: ReadonlyMap<string, Tensor>, image: Tensor): Promise<number> => {
    await engine.load(new Map([...moved].map(([name, tensor]) => [`weight/${name}`, tensor])))
    const { loss } = await engine.forward(training, { ...feeds, image }, ['loss'])
    return loss!.floats.reduce((sum, value) => sum + value, 0) / 4
  }

  const start = await engine.weights()
  const answer = await engine.accumulate(training, feeds, {
    of: 'loss',
    weight: 1,
    withRespectTo: ['image'],
  })
  await engine.update({
    learningRate: 0,
    momentum: 0,
    nesterov: false,
    weightDecay: 0,
    gradientScale: 1,
  })
  const state = await engine.state()

  const h = 5e-3
  const move = (tensor: Tensor, direction: Float32Array, by: number): Tensor =>
    Tensor.float32(
      tensor.dims,
      tensor.floats.map((value, i) => value + by * direction[i]!),
    )
  const dot = (a: Float32Array, b: Float32Array): number =>
    a.reduce((sum, value, i) => sum + value * b[i]!, 0)

  for (const name of ['stem.conv/kernel', 'stage2.block1.conv1/kernel', 'stage2.block1.shortcut/kernel']) {
    const gradient = state.get(`momentum/${name}`)!.floats
    // Along the gradient and a random direction, as long together as one weight.
    const noise = normals([name.length], gradient.length)
    const direction = gradient.map(
      (g, i) => g / Math.hypot(...gradient) + (0.3 * noise[i]!) / Math.hypot(...noise),
    )
    const at = (by: number) =>
      lossAt(new Map(start).set(name, move(start.get(name)!, direction, by)), feeds.image)
    const measured = ((await at(h)) - (await at(-h))) / (2 * h)
    expect(Math.abs(measured - dot(gradient, direction)) / Math.abs(measured), name).toBeLessThan(0.01)
  }

  // The answer's gradient is of the sum of the losses.
  const gradient = answer.gradients.image!.floats.map((value) => value / 4)
  const direction = gradient.map((g) => g / Math.hypot(...gradient))
  const at = (by: number) => lossAt(start, move(feeds.image, direction, by))
  const measured = ((await at(4 * h)) - (await at(-4 * h))) / (8 * h)
  expect(Math.abs(measured - Math.hypot(...gradient)) / measured).toBeLessThan(0.01)
  engine.dispose()
})
