import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { expect, it } from 'vitest'
import { repairSmallStridedConvolution } from '../../../../../trainer/engines/tfjs/wasm/strided-convolution.ts'

const convolved = (): number[] =>
  tf.tidy(() => {
    const x = tf.reshape(tf.range(0, 36), [1, 6, 6, 1]) as tf.Tensor4D
    return Array.from(tf.conv2d(x, tf.ones([2, 2, 1, 1]), 3, 'same').dataSync())
  })

it('convolves with a stride beyond the kernel, for which the stock kernel returns zeros', async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
  const expected = convolved()
  expect(expected).toEqual([14, 26, 86, 98])
  await tf.setBackend('wasm')
  expect(convolved()).toEqual([0, 0, 0, 0])
  repairSmallStridedConvolution()
  expect(convolved()).toEqual(expected)
})
