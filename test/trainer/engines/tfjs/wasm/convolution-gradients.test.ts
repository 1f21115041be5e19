import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { expect, it } from 'vitest'
import { uniforms } from '../../../../../converters/perturb/random.ts'
import {
  repairImageGradient,
  repairKernelGradient,
} from '../../../../../trainer/engines/tfjs/wasm/convolution-gradients.ts'

type Pad = 'same' | 'valid' | [[number, number], [number, number], [number, number], [number, number]]

/** Gradients of a function of a convolution's result with respect to image and kernel, on one backend. */
async function gradients(backend: string, kernel: number, stride: number, pad: Pad, size: readonly number[]) {
  await tf.setBackend(backend)
  return tf.tidy(() => {
    const [height, width] = size as [number, number]
    const x = tf.tensor4d(uniforms([1], 3 * height * width * 4), [3, height, width, 4])
    const w = tf.tensor4d(uniforms([2], kernel * kernel * 20), [kernel, kernel, 4, 5])
    const f = (x: tf.Tensor, w: tf.Tensor): tf.Scalar => {
      const y = tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, stride, pad)
      return tf.sum(tf.mul(y, tf.sin(tf.reshape(tf.range(0, y.size), y.shape))))
    }
    return tf
      .grads(f)([x, w])
      .map((gradient) => gradient.dataSync() as Float32Array)
  })
}

function relative(actual: Float32Array, expected: Float32Array): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9)
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0) / largest
}

it('adds the kernel gradient that the stock backend lacks, and both gradients equal the cpu backend', async () => {
  tf.enableProdMode()
  await tf.setBackend('wasm')
  await expect(gradients('wasm', 3, 1, 'same', [8, 8])).rejects.toThrow(/Conv2DBackpropFilter/)
  repairKernelGradient()
  repairImageGradient()
  const uneven: Pad = [
    [0, 0],
    [2, 1],
    [0, 2],
    [0, 0],
  ]
  for (const kernel of [1, 2, 3, 5])
    for (const stride of [1, 2, 3])
      for (const pad of ['same', 'valid', uneven] as const)
        for (const size of [
          [8, 8],
          [7, 11],
        ]) {
          const expected = await gradients('cpu', kernel, stride, pad, size)
          const actual = await gradients('wasm', kernel, stride, pad, size)
          const where = `kernel ${kernel}, stride ${stride}, pad ${pad}, size ${size}`
          expect(relative(actual[0]!, expected[0]!), `image gradient, ${where}`).toBeLessThan(1e-5)
          expect(relative(actual[1]!, expected[1]!), `kernel gradient, ${where}`).toBeLessThan(1e-5)
        }
})
