import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { expect, it } from 'vitest'
import { repairMaxPoolGradient } from '../../../../../trainer/engines/tfjs/wasm/max-pool-gradient.ts'

const gradient = (): number[] =>
  tf.tidy(() => {
    const x = tf.tensor4d([-1, -2, -3, -4, -5, -6, -7, -8], [2, 2, 2, 1])
    return Array.from(
      tf
        .grad((x) => tf.sum(tf.maxPool(x as tf.Tensor4D, 2, 2, 'same')))(x)
        .dataSync(),
    )
  })

it('keeps the gradient of windows without a positive value, which the stock kernel loses', async () => {
  tf.enableProdMode()
  await tf.setBackend('wasm')
  expect(gradient()).not.toEqual([1, 0, 0, 0, 1, 0, 0, 0])
  repairMaxPoolGradient()
  expect(gradient()).toEqual([1, 0, 0, 0, 1, 0, 0, 0])
})
