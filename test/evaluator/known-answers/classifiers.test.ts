import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openClient } from '../../../zoo/registry/client.ts'
import { pullData } from '../../../zoo/registry/data.ts'
import { full, needsTestData, testData } from '../../data.ts'
import { batteryOf, run } from './run.ts'

const skipped = testData === undefined || !full
const why = needsTestData || (full ? '' : ' (skipped: ZOO_TEST_FULL is not set)')

describe.skipIf(skipped)(`classifiers whose robustness others have published${why}`, () => {
  it("Wong & Kolter's MNIST net at 0.1: an error between PGD's 4.0 % and the certified 5.8 %", async () => {
    const { result } = await run({
      model: join(testData!, 'models-mnist/mnist_wong_kolter_linf0.1.onnx'),
      data: (await pullData(openClient(), 'mnist')).folder,
      battery: batteryOf([{ kind: 'pgd', name: 'pgd', iterations: 40, step: 0.1 }]),
      norm: 'linf',
      eps: 0.1,
      input: { channels: 'grey' },
    })
    expect(result.dataset.examples).toBe(10_000)
    expect(result.clean.accuracy).toBeCloseTo(0.982, 3)
    expect(1 - result.robust.accuracy).toBeGreaterThanOrEqual(0.04)
    expect(1 - result.robust.accuracy).toBeLessThanOrEqual(0.058)
  }, 900_000)

  it('a ResNet-20 that was not trained for it: nothing is left at 8/255 within 20 steps', async () => {
    const { result } = await run({
      model: join(testData!, 'models-cifar10/cifar10_resnet20.onnx'),
      data: (await pullData(openClient(), 'cifar10')).folder,
      battery: batteryOf([{ kind: 'pgd', name: 'pgd-20', iterations: 20, step: 0.25 }]),
      norm: 'linf',
      eps: '8/255',
      limit: 500,
      input: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    })
    expect(result.clean.accuracy).toBeGreaterThan(0.9)
    expect(result.robust.accuracy).toBe(0)
  }, 900_000)
})
