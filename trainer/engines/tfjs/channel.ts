import * as tf from '@tensorflow/tfjs'

/** Steps over the channels of [.., C], which normalisation is made of. None of these is differentiated by tfjs. */

/** x·a + b with one a and b for each channel. */
export function affineByChannel(x: tf.Tensor, a: tf.Tensor1D, b: tf.Tensor1D): tf.Tensor {
  if (tf.getBackend() !== 'wasm' || x.rank !== 4) return tf.add(tf.mul(x, a), b)
  // Broadcasting is a scalar loop on wasm; a depthwise convolution with one tap is one vectorised pass.
  const filter = tf.reshape(a, [1, 1, x.shape[3]!, 1]) as tf.Tensor4D
  return tf.fused.depthwiseConv2d({ x: x as tf.Tensor4D, filter, strides: 1, pad: 'valid', bias: b })
}

/** The mean of each channel. */
export function meanByChannel(x: tf.Tensor): tf.Tensor1D {
  const channels = x.shape[x.rank - 1]!
  const rows = x.size / channels
  if (tf.getBackend() !== 'wasm') return tf.mean(tf.reshape(x, [rows, channels]), 0)
  // Sums over outer axes are a scalar loop on wasm, pooling is not.
  const column = tf.reshape(x, [1, rows, 1, channels]) as tf.Tensor4D
  return tf.reshape(tf.avgPool(column, [rows, 1], 1, 'valid'), [channels])
}
