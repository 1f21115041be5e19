import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeModel } from '../../../converters/onnx/file.ts'
import { modelOf } from '../../../converters/onnx/graph.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { methodSchema, resnetSchema } from '../../../manifests/schema/recipe.ts'
import { type Backend, openEngine } from '../../../trainer/engines/open.ts'
import { stepOf } from '../../../trainer/methods/table.ts'
import { resnetNetwork } from '../../../trainer/network.ts'
import { stripes } from '../stripes.ts'
import { METHODS } from './cases.ts'

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-methods-'))
  await writeModel(modelOf(networkWith('none').graph('main')), join(folder, 'static.onnx'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function networkWith(kind: string) {
  const network = { family: 'resnet', form: 'small', depth: 8, width: 4, stemStride: 2, norm: { kind } }
  return resnetNetwork(resnetSchema.parse({ ...network, activation: 'softplus' }), [1, 8, 8], 2, 5)
}

/** All weights after two steps of a method. */
async function trained(backend: Backend, spec: object, kind: string): Promise<Map<string, Tensor>> {
  const network = networkWith(kind)
  const engine = await openEngine(backend, { weights: network.weights, statisticsMomentum: 0.9 })
  const step = await stepOf(methodSchema.parse(spec), {
    network,
    engine,
    seed: 0,
    examples: 64,
    stepsPerEpoch: 2,
    labelSmoothing: 0.1,
    memory: new Map(),
    trained: ({ training }) => training,
    finish: () => {},
    update: () =>
      engine.update({
        learningRate: 0.02,
        momentum: 0.9,
        nesterov: true,
        weightDecay: 1e-4,
        gradientScale: 1,
      }),
  })
  for (let i = 0; i < 2; i++) {
    const examples = Array.from({ length: 8 }, (_, k) => i * 8 + k)
    const { images, labels } = await stripes(64).read(examples)
    await step({ images: Tensor.float32([8, 1, 8, 8], images), labels, examples, step: i })
  }
  const weights = await engine.weights()
  engine.dispose()
  return weights
}

/** Of the way that a weight went. Signs of tiny gradients differ with rounding, so attacked images do in a pixel here and there. */
const TOLERANCE = 0.02

/** Between them these use all that an engine offers; the others run with ZOO_TEST_FULL=1. */
const FEW = ['pgd-at', 'yopo', 'awp']
const methods = METHODS.filter(({ spec }) => process.env.ZOO_TEST_FULL === '1' || FEW.includes(spec.name))

describe.each(methods)('$spec.name', ({ spec, norms = ['batch'] }) => {
  it.each(norms)('takes the same steps on onnxruntime and on tfjs, with norm %s', async (kind) => {
    const located = 'sources' in spec ? { ...spec, sources: [join(folder, 'static.onnx')] } : spec
    const [ort, tfjs] = [await trained('ort', located, kind), await trained('wasm', located, kind)]
    for (const { name, value } of networkWith(kind).weights) {
      const [a, b] = [ort.get(name)!.floats, tfjs.get(name)!.floats]
      const distance = (x: Float32Array, y: Float32Array) => Math.hypot(...x.map((each, i) => each - y[i]!))
      const rounding = 1e-6 * Math.hypot(...b)
      expect(distance(a, b), name).toBeLessThanOrEqual(TOLERANCE * distance(b, value.floats) + rounding)
    }
  })
})
