/** An engine's side of `bench:train`: says `ready`, then takes a step for each line and answers its cost. */
import { createInterface } from 'node:readline'
import { Tensor } from '../../converters/onnx/tensor.ts'
import { uniforms } from '../../converters/perturb/random.ts'
import { methodSchema, resnetSchema } from '../../manifests/schema/recipe.ts'
import { type Backend, openEngine } from '../../trainer/engines/open.ts'
import { stepOf } from '../../trainer/methods/table.ts'
import { resnetNetwork } from '../../trainer/network.ts'

const [backend, depth, batch] = process.argv.slice(2) as [Backend, string, string]
const count = Number(batch)
const spec = resnetSchema.parse({ family: 'resnet', form: 'small', depth: Number(depth), width: 16 })
const method = methodSchema.parse({
  name: 'pgd-at',
  attack: { eps: '8/255', step: '2/255', steps: 7 },
})
const network = resnetNetwork(spec, [3, 32, 32], 10, 0)
const engine = await openEngine(backend, { weights: network.weights, statisticsMomentum: 0.9 })
const step = await stepOf(method, {
  network,
  engine,
  seed: 0,
  examples: count,
  stepsPerEpoch: 1000,
  finish: () => {},
  labelSmoothing: 0,
  memory: new Map(),
  trained: ({ training }) => training,
  update: () =>
    engine.update({
      learningRate: 0.05,
      momentum: 0.9,
      nesterov: false,
      weightDecay: 5e-4,
      gradientScale: 1,
    }),
})
const images = Tensor.float32([count, 3, 32, 32], uniforms([1], count * 3072))
const labels = Int32Array.from({ length: count }, (_, i) => i % 10)
const examples = Array.from({ length: count }, (_, i) => i)

process.stdout.write('ready\n')
let steps = 0
for await (const _ of createInterface({ input: process.stdin })) {
  const before = process.cpuUsage()
  const began = performance.now()
  await step({ images, labels, examples, step: steps++ })
  const wall = performance.now() - began
  const { user, system } = process.cpuUsage(before)
  process.stdout.write(`${wall} ${(user + system) / 1000}\n`)
}
process.exit()
