import { describe, expect, it } from 'vitest'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { uniforms } from '../../../../converters/perturb/random.ts'
import { resnetSchema } from '../../../../manifests/schema/recipe.ts'
import type { Engine } from '../../../../trainer/engines/engine.ts'
import { type Backend, openEngine } from '../../../../trainer/engines/open.ts'
import { ownGpu } from '../../../../trainer/engines/parallel/gpu.ts'
import { crossEntropy } from '../../../../trainer/losses.ts'
import { objectiveOf, resnetNetwork } from '../../../../trainer/network.ts'
import { full } from '../../../data.ts'
import { engineSuite } from '../engine.suite.ts'

// Every engine starts a process: the whole suite takes a while.
const BACKENDS = ['wasm', 'ort'] as const
if (full)
  for (const backend of BACKENDS)
    engineSuite(`two processes on ${backend}`, (options) => openEngine(backend, { ...options, processes: 2 }))

const STEP = { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 1e-3, gradientScale: 1 }
const feeds = {
  image: Tensor.float32([7, 2, 8, 8], uniforms([1], 7 * 128)),
  target: Tensor.float32([7, 3], uniforms([2], 21)),
}

function network(kind: string) {
  const spec = { family: 'resnet', form: 'small', depth: 8, width: 4, norm: { kind } }
  return resnetNetwork(resnetSchema.parse(spec), [2, 8, 8], 3, 4)
}

async function trained(engine: Engine, kind: string) {
  const { inference, training } = objectiveOf(network(kind), 'main', crossEntropy)
  for (let i = 0; i < 3; i++) {
    await engine.accumulate(training, feeds, { of: 'loss', weight: 1 })
    await engine.update(STEP)
  }
  const { outputs, gradients } = await engine.gradient(inference, feeds, {
    of: 'loss',
    withRespectTo: ['image'],
  })
  const state = await engine.state()
  engine.dispose()
  return { state, loss: outputs.loss!, image: gradients.image! }
}

const opening = (backend: Backend) => (kind: string, processes: number) =>
  openEngine(backend, { weights: network(kind).weights, statisticsMomentum: 0.9, processes })

function expectClose(actual: Tensor, expected: Tensor): void {
  expect(actual.dims).toEqual(expected.dims)
  for (const [i, value] of expected.floats.entries()) expect(actual.floats[i]).toBeCloseTo(value, 4)
}

describe.each(BACKENDS)('processes on %s', (backend) => {
  const open = opening(backend)

  it('takes the same steps as one process where examples are normalised one by one', async () => {
    const [one, three] = [
      await trained(await open('none', 1), 'none'),
      await trained(await open('none', 3), 'none'),
    ]
    expect([...three.state.keys()]).toEqual([...one.state.keys()])
    for (const [name, tensor] of one.state) expectClose(three.state.get(name)!, tensor)
    expectClose(three.loss, one.loss)
    expectClose(three.image, one.image)
  })

  it('normalises by shares of the batch, and keeps the mean of their statistics', async () => {
    const form = objectiveOf(network('batch'), 'main', crossEntropy).training
    const [, batchMean] = form.statistics.find(([running]) => running === 'stem.norm/main/mean')!
    const one = await open('batch', 1)
    const rows = (begin: number, end: number) => ({
      image: Tensor.float32([end - begin, 2, 8, 8], feeds.image.floats.slice(begin * 128, end * 128)),
      target: Tensor.float32([end - begin, 3], feeds.target.floats.slice(begin * 3, end * 3)),
    })
    const shares = [
      await one.forward(form, rows(0, 3), [batchMean]),
      await one.forward(form, rows(3, 7), [batchMean]),
    ]
    one.dispose()
    const two = await open('batch', 2)
    await two.accumulate(form, feeds, { of: 'loss', weight: 1 })
    const mean = (await two.weights()).get('stem.norm/main/mean')!
    for (const [i, value] of mean.floats.entries())
      expect(value).toBeCloseTo(
        0.1 * ((3 / 7) * shares[0]![batchMean]!.floats[i]! + (4 / 7) * shares[1]![batchMean]!.floats[i]!),
        5,
      )
    two.dispose()
  })

  it('attacks with the statistics of a batch that was too small to be shared', async () => {
    const { inference, training } = objectiveOf(network('batch'), 'main', crossEntropy)
    const small = {
      image: Tensor.float32([2, 2, 8, 8], feeds.image.floats.slice(0, 256)),
      target: Tensor.float32([2, 3], feeds.target.floats.slice(0, 6)),
    }
    const logitsAfter = async (engine: Engine) => {
      for (let i = 0; i < 3; i++) await engine.accumulate(training, small, { of: 'loss', weight: 1 })
      const { logits } = await engine.forward(inference, { image: feeds.image }, ['logits'])
      engine.dispose()
      return logits!
    }
    const [one, three] = [
      await logitsAfter(await open('batch', 1)),
      await logitsAfter(await open('batch', 3)),
    ]
    expectClose(three, one)
  })
})

it('gives each process a GPU of its own', () => {
  const gpus = (visible: string | undefined) =>
    [1, 2, 3].map((index) => ownGpu(index, { CUDA_VISIBLE_DEVICES: visible }).CUDA_VISIBLE_DEVICES)
  expect(gpus(undefined)).toEqual(['1', '2', '3'])
  expect(gpus('4,5,7')).toEqual(['5', '7', '4'])
})
