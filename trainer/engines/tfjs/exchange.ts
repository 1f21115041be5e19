import * as tf from '@tensorflow/tfjs'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../manifests/error.ts'
import { inOnnx, toOnnx, type Value } from './value.ts'

/** An ONNX tensor on the backend. 64-bit integers become 32-bit ones, which is what tfjs has. */
export function upload(tensor: Tensor): Value {
  const dims = [...tensor.dims]
  switch (tensor.dtype) {
    case 'float32':
      return inOnnx(tf.tensor(tensor.floats, dims, 'float32'))
    case 'bool':
      return inOnnx(tf.tensor(tensor.elements as Uint8Array, dims, 'bool'))
    case 'int32':
    case 'int64':
    case 'uint8':
      return inOnnx(tf.tensor(Int32Array.from(tensor.numbers, toInt32), dims, 'int32'))
    default:
      throw new ZooError('unsupported-model', `the tfjs engine has no tensors of type ${tensor.dtype}`)
  }
}

const toInt32 = (value: number): number => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, value))

/** A float value in ONNX's layout, read back from the backend. */
export async function download(value: Value): Promise<Tensor> {
  const tensor = tf.tidy(() => tf.clone(toOnnx(value)))
  const data = (await tensor.data()) as Float32Array
  const answer = Tensor.float32(tensor.shape, Float32Array.from(data))
  tensor.dispose()
  return answer
}
