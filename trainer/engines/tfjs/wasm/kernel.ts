import * as tf from '@tensorflow/tfjs'
import { ZooError } from '../../../../manifests/error.ts'

export type Inputs = Readonly<Record<string, tf.Tensor>>
export type KernelAttributes = Readonly<Record<string, unknown>>
/** Computes a kernel's output; temporaries are freed by the caller. */
export type Compute = (inputs: Inputs, attributes: KernelAttributes) => tf.Tensor

/** tfjs hands kernels tensor-like records; operations take them as tensors. */
const asKernel = (compute: Compute): tf.KernelFunc =>
  (({ inputs, attrs }) =>
    tf.tidy(() => compute(inputs as unknown as Inputs, (attrs ?? {}) as KernelAttributes))) as tf.KernelFunc

/** The kernel that tfjs's wasm backend ships, as a function on tensors. */
export function stockKernel(name: string): Compute {
  const config = tf.getKernel(name, 'wasm')
  if (!config) throw new ZooError('internal', `the wasm backend has no kernel ${name}`)
  return (inputs, attrs) => {
    const info = config.kernelFunc({
      inputs: inputs as unknown as tf.NamedTensorInfoMap,
      attrs: attrs as unknown as tf.NamedAttrMap,
      backend: tf.backend(),
    }) as tf.TensorInfo
    return tf.engine().makeTensorFromTensorInfo(info)
  }
}

/** Puts a kernel in the place of the wasm backend's own, or where it has none. */
export function replaceKernel(name: string, compute: Compute): void {
  const stock = tf.getKernel(name, 'wasm')
  if (stock) tf.unregisterKernel(name, 'wasm')
  tf.registerKernel({
    kernelName: name,
    backendName: 'wasm',
    kernelFunc: asKernel(compute),
    ...(stock?.setupFunc ? { setupFunc: stock.setupFunc } : {}),
    ...(stock?.disposeFunc ? { disposeFunc: stock.disposeFunc } : {}),
  })
}
