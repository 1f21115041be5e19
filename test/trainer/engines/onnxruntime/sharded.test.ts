import { afterAll, describe, expect, it } from 'vitest'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { uniforms } from '../../../../converters/perturb/random.ts'
import { resnetSchema } from '../../../../manifests/schema/recipe.ts'
import { openRunner } from '../../../../trainer/engines/onnxruntime/open-runner.ts'
import { Sharded } from '../../../../trainer/engines/onnxruntime/parallel/sharded.ts'
import { Workers } from '../../../../trainer/engines/onnxruntime/parallel/workers.ts'
import { faster } from '../../../../trainer/engines/onnxruntime/runner.ts'
import { WeightTable } from '../../../../trainer/engines/onnxruntime/weights.ts'
import { crossEntropy } from '../../../../trainer/losses.ts'
import { objectiveOf, resnetNetwork } from '../../../../trainer/network.ts'

const spec = resnetSchema.parse({ family: 'resnet', form: 'small', depth: 8, width: 4 })
const network = resnetNetwork(spec, [1, 12, 12], 10, 1)
const { inference } = objectiveOf(network, 'main', crossEntropy)
const table = new WeightTable(network.weights)
const workers = new Workers(table)
// Nine examples don't divide evenly.
const feeds = {
  image: Tensor.float32([9, 1, 12, 12], uniforms([1], 9 * 144)),
  target: Tensor.float32([9, 10], uniforms([2], 90)),
}
const request = { outputs: ['logits', 'loss'], of: 'loss', withRespectTo: ['image'] }

describe('a batch shared among threads', () => {
  afterAll(() => workers.end())

  it('gives the same bits, also when the weights have changed', async () => {
    const whole = await openRunner(inference.graph, feeds, request, table, { threads: 1 })
    const sharded = await Sharded.build(inference.graph, feeds, request, workers)
    for (let i = 0; i < 2; i++) {
      const [a, b] = [await whole.run(feeds), await sharded.run(feeds)]
      expect(Object.keys(b).sort()).toEqual(Object.keys(a).sort())
      for (const [name, tensor] of Object.entries(a)) {
        expect(b[name]!.dims).toEqual(tensor.dims)
        expect(b[name]!.floats, name).toEqual(tensor.floats)
      }
      table.accumulate(
        'classifier/bias',
        Float32Array.from({ length: 10 }, (_, k) => k),
        1,
      )
      table.update({ learningRate: 1, momentum: 0, nesterov: false, weightDecay: 0, gradientScale: 1 })
    }
    await whole.release()
    await sharded.release()
  })

  it('hands on what a thread cannot do', async () => {
    const wrong = { ...request, outputs: ['nothing'] }
    await expect(Sharded.build(inference.graph, feeds, wrong, workers)).rejects.toMatchObject({
      code: expect.any(String),
    })
  })
})

describe('the faster of two ways', () => {
  const way = (milliseconds: number, value: number) => ({
    released: false,
    async run() {
      await new Promise((resolve) => setTimeout(resolve, milliseconds))
      return { y: Tensor.float32([1], [value]) }
    },
    async release() {
      this.released = true
    },
  })

  it('is taken, and the other released, if both give the same', async () => {
    const [slow, fast] = [way(40, 1), way(1, 1)]
    expect(await faster(slow, fast, (each) => each.run())).toBe(fast)
    expect([slow.released, fast.released]).toEqual([true, false])
  })

  it('is not taken if it gives something else', async () => {
    const [slow, fast] = [way(40, 1), way(1, 2)]
    expect(await faster(slow, fast, (each) => each.run())).toBe(slow)
    expect([slow.released, fast.released]).toEqual([false, true])
  })
})
