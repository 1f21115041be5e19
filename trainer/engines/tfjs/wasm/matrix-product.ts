import * as tf from '@tensorflow/tfjs'
import { type Compute, replaceKernel, stockKernel } from './kernel.ts'

/**
 * Two faults of the stock matrix product. It keeps XNNPACK's operator by the second operand's data, whatever its shape,
 * so that a product with `b` and then with `reshape(b)` computes the second with the first's shape: wrong numbers, no error.
 * And a transposed operand takes a scalar path, ten times slower than moving its axes first.
 * (Found in 4.22; no upstream issue was known to us.)
 */
export function repairMatrixProduct(): void {
  for (const name of ['BatchMatMul', '_FusedMatMul']) replaceKernel(name, repaired(stockKernel(name)))
}

function repaired(stock: Compute): Compute {
  /** The shape in which the stock kernel first saw each second operand. */
  const shapes = new WeakMap<object, string>()
  return (inputs, attributes) => {
    const { a, b, ...others } = inputs as { a: tf.Tensor; b: tf.Tensor }
    // Only single products go through XNNPACK; batches of them take another path, which is right.
    if (batchOf(a) !== 1 || batchOf(b) !== 1) return stock(inputs, attributes)
    const left = attributes.transposeA ? transposed(a) : a
    let right = attributes.transposeB ? transposed(b) : b
    const shape = right.shape.slice(-2).join('x')
    const known = shapes.get(right.dataId)
    if (known !== undefined && known !== shape) right = copied(right)
    shapes.set(right.dataId, shape)
    return stock({ ...others, a: left, b: right }, { ...attributes, transposeA: false, transposeB: false })
  }
}

const batchOf = (x: tf.Tensor): number => x.shape.slice(0, -2).reduce((all, size) => all * size, 1)
const copied = (x: tf.Tensor): tf.Tensor => tf.add(x, 0)

function transposed(x: tf.Tensor): tf.Tensor {
  const order = x.shape.map((_, i) => i)
  const last = order.length - 1
  ;[order[last - 1], order[last]] = [last, last - 1]
  return tf.transpose(x, order)
}
