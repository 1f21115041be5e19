import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeModel } from '../../../converters/onnx/file.ts'
import { modelOf } from '../../../converters/onnx/graph.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { linf } from '../../../converters/perturb/linf.ts'
import { methodSchema, resnetSchema } from '../../../manifests/schema/recipe.ts'
import { decorated } from '../../../trainer/engines/decorate.ts'
import type { Engine } from '../../../trainer/engines/engine.ts'
import { openEngine } from '../../../trainer/engines/open.ts'
import { adversarialLabels, mostConfusing } from '../../../trainer/methods/bilateral.ts'
import { transportPlan } from '../../../trainer/methods/feature-scattering.ts'
import type { MethodContext } from '../../../trainer/methods/method.ts'
import { stepOf } from '../../../trainer/methods/table.ts'
import { type Network, resnetNetwork } from '../../../trainer/network.ts'
import { stripes } from '../stripes.ts'
import { attack, EPS, METHODS } from './cases.ts'

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-methods-'))
  await writeModel(modelOf(networkWith('none').graph('main')), join(folder, 'static.onnx'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const networkWith = (kind: string): Network => {
  const spec = {
    family: 'resnet',
    form: 'small',
    depth: 8,
    width: 4,
    stemStride: 2,
    norm: kind === 'group' ? { kind, groups: 2 } : { kind },
  }
  return resnetNetwork(resnetSchema.parse({ ...spec, activation: 'softplus' }), [1, 8, 8], 2, 5)
}

const BATCH = 16

interface Trace {
  /** Images that were trained on, pass by pass. */
  readonly images: Float32Array[]
  updates: number
  finished?: string
}

/** An engine that writes down what it trains on, and the context around it. */
async function context(network: Network): Promise<{ context: MethodContext; engine: Engine; trace: Trace }> {
  const engine = await openEngine('wasm', { weights: network.weights, statisticsMomentum: 0.9 })
  const trace: Trace = { images: [], updates: 0 }
  const watched = decorated(engine, {
    accumulate: (form, feeds, request) => {
      for (const name of ['image', 'adversarial']) if (feeds[name]) trace.images.push(feeds[name].floats)
      return engine.accumulate(form, feeds, request)
    },
  })
  return {
    engine,
    trace,
    context: {
      network,
      engine: watched,
      seed: 0,
      examples: 64,
      stepsPerEpoch: 2,
      labelSmoothing: 0,
      memory: new Map(),
      trained: ({ training }) => training,
      finish: (reason) => {
        trace.finished = reason
      },
      update: async () => {
        trace.updates++
        await engine.update({
          learningRate: 0.1,
          momentum: 0.9,
          nesterov: true,
          weightDecay: 1e-4,
          gradientScale: 1,
        })
      },
    },
  }
}

async function batchAt(step: number) {
  const examples = Array.from({ length: BATCH }, (_, i) => (step * BATCH + i) % 64)
  const { images, labels } = await stripes(64).read(examples)
  return { images: Tensor.float32([BATCH, 1, 8, 8], images), labels, examples, step }
}

describe.each(METHODS)('$spec.name', ({ spec, norms = ['batch'], updates = 1 }) => {
  it.each(norms)('learns stripes with norm %s, on images inside the ball', async (kind) => {
    const { context: given, engine, trace } = await context(networkWith(kind))
    const located = 'sources' in spec ? { ...spec, sources: [join(folder, 'static.onnx')] } : spec
    const step = await stepOf(methodSchema.parse(located), given)
    const losses: number[] = []
    for (let i = 0; i < 20; i++) {
      const batch = await batchAt(i)
      trace.images.length = 0
      const figures = await step(batch)
      expect(Object.values(figures).every(Number.isFinite)).toBe(true)
      losses.push(figures.loss!)
      if (spec.name !== 'llr')
        for (const images of trace.images)
          for (let begin = 0; begin < images.length; begin += batch.images.size) {
            const part = images.subarray(begin, begin + batch.images.size)
            const distance = linf.distance(part, batch.images.floats.subarray(0, part.length))
            // IAAT lets budgets grow.
            if (spec.name !== 'iaat') expect(distance).toBeLessThan(EPS + 1e-6)
            expect(part.every((value) => value >= 0 && value <= 1)).toBe(true)
          }
    }
    expect(trace.updates).toBe(20 * updates)
    const mean = (part: number[]): number => part.reduce((sum, value) => sum + value, 0) / part.length
    expect(mean(losses.slice(-4))).toBeLessThan(0.8 * mean(losses.slice(0, 4)))
    engine.dispose()
  })
})

it('takes the smallest perturbation of weights back after the step that it was for', async () => {
  const network = networkWith('none')
  const weightsAfter = async (spec: object): Promise<Map<string, Tensor>> => {
    const { context: given, engine } = await context(network)
    const step = await stepOf(methodSchema.parse(spec), given)
    await step(await batchAt(0))
    const weights = await engine.weights()
    engine.dispose()
    return weights
  }
  const inner = { name: 'pgd-at', attack }
  const [plain, perturbed, farther] = [
    await weightsAfter(inner),
    await weightsAfter({ name: 'awp', gamma: 1e-7, method: inner }),
    await weightsAfter({ name: 'awp', gamma: 0.5, method: inner }),
  ]
  const name = 'classifier/kernel'
  expect(linf.distance(plain.get(name)!.floats, perturbed.get(name)!.floats)).toBeLessThan(1e-5)
  expect(linf.distance(plain.get(name)!.floats, farther.get(name)!.floats)).toBeGreaterThan(1e-4)
})

it('ends with the weights before it when accuracy under attack collapses', async () => {
  const { context: given, engine, trace } = await context(networkWith('batch'))
  const step = await stepOf(methodSchema.parse({ name: 'fast-at', eps: 0.01, guard: 0.2 }), given)
  for (let i = 0; i < 30; i++) await step(await batchAt(i))
  expect(trace.finished).toBeUndefined()
  const good = await engine.weights()
  const name = 'classifier/kernel'
  const first = await batchAt(30)
  await step(first)
  const second = await batchAt(31)
  // A collapse on demand: of the batch that is looked at, all labels are wrong.
  const collapsed = { ...second, labels: second.labels.map((label) => 1 - label) }
  await step(collapsed)
  expect(trace.finished).toMatch(/catastrophic overfitting/)
  expect((await engine.weights()).get(name)!.floats).toEqual(good.get(name)!.floats)
  engine.dispose()
})

it('gives every image a budget of its own that follows how it holds', async () => {
  const { context: given, engine } = await context(networkWith('batch'))
  const spec = { name: 'iaat', attack, gamma: 0.02, warmUpEpochs: 1, smoothing: 0 }
  const step = await stepOf(methodSchema.parse(spec), given)
  await step(await batchAt(0))
  expect(given.memory.get('eps')!.floats.every((eps) => eps === Math.fround(EPS))).toBe(true)
  for (let i = 2; i < 26; i++) await step(await batchAt(i))
  const budgets = given.memory.get('eps')!.floats
  expect(budgets.some((eps) => eps > EPS + 0.01)).toBe(true)
  expect(budgets.every((eps) => eps >= 0)).toBe(true)
  engine.dispose()
})

describe('parts of methods', () => {
  const p = Tensor.float32([2, 3], [0.7, 0.2, 0.1, 0.5, 0.1, 0.4])
  const labels = Int32Array.of(0, 0)

  it('find the most confusing class', () => {
    expect([...mostConfusing(p, labels)]).toEqual([1, 2])
    expect([...mostConfusing(p, Int32Array.of(1, 2))]).toEqual([0, 0])
  })

  it('perturb labels towards costly classes, and leave the true class its margin', () => {
    const target = adversarialLabels(p, labels, 9)
    expect(target.floats[0]).toBeCloseTo(0.9, 6)
    expect(target.floats[1]! + target.floats[2]!).toBeCloseTo(0.1, 6)
    const [near, far] = [0.01, -Math.log(0.1) + Math.log(0.2) + 0.01]
    expect(target.floats[2]! / target.floats[1]!).toBeCloseTo(far / near, 2)
  })

  it('transport uniform weights along the cheapest pairs', () => {
    const plan = transportPlan(Float64Array.of(0, 1, 1, 1, 0, 1, 1, 1, 0), 0.01)
    for (let i = 0; i < 9; i++) expect(plan.floats[i]).toBeCloseTo(i % 4 === 0 ? 1 / 3 : 0, 5)
    const shared = transportPlan(Float64Array.of(0.5, 0.5, 0.5, 0.5), 0.1)
    for (const value of shared.floats) expect(value).toBeCloseTo(0.25, 6)
  })
})
