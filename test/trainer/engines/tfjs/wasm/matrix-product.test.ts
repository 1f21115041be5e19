import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { beforeAll, expect, it } from 'vitest'
import { stockKernel } from '../../../../../trainer/engines/tfjs/wasm/kernel.ts'
import { repairMatrixProduct } from '../../../../../trainer/engines/tfjs/wasm/matrix-product.ts'

type Product = (a: tf.Tensor2D, b: tf.Tensor2D) => tf.Tensor

/** A product with b [2,3], then with the same numbers as [3,2]. */
function secondProduct(multiply: Product): number[] {
  const b = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3])
  multiply(tf.tensor2d([1, 1], [1, 2]), b)
  return Array.from(multiply(tf.tensor2d([1, 1, 1], [1, 3]), tf.reshape(b, [3, 2])).dataSync())
}

let stock: ReturnType<typeof stockKernel>
beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('wasm')
  stock = stockKernel('BatchMatMul')
  repairMatrixProduct()
})

it('multiplies transposed operands, single and in batches', async () => {
  const a = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
  for (const batch of [1, 2])
    for (const [transposeA, transposeB] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const product = async (backend: string): Promise<number[]> => {
        await tf.setBackend(backend)
        return tf.tidy(() => {
          const left = tf.tensor3d(a.slice(0, 6 * batch), transposeA ? [batch, 3, 2] : [batch, 2, 3])
          const right = tf.tensor3d(
            a.slice(0, 6 * batch).reverse(),
            transposeB ? [batch, 2, 3] : [batch, 3, 2],
          )
          return Array.from(tf.matMul(left, right, transposeA, transposeB).dataSync())
        })
      }
      expect(await product('wasm')).toEqual(await product('cpu'))
    }
})

// Last, because the stock kernel reads and writes beyond its operands here: this wasm instance is not to be used again.
it('multiplies by a reshaped operand, which the stock kernel gets wrong', async () => {
  await tf.setBackend('wasm')
  expect(secondProduct(tf.matMul)).toEqual([9, 12])
  expect(secondProduct((a, b) => stock({ a, b }, { transposeA: false, transposeB: false }))).not.toEqual([
    9, 12,
  ])
})
