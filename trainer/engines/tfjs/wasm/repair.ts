import { repairImageGradient, repairKernelGradient } from './convolution-gradients.ts'
import { repairMatrixProduct } from './matrix-product.ts'
import { repairMaxPoolGradient } from './max-pool-gradient.ts'
import { repairSmallStridedConvolution } from './strided-convolution.ts'

let done = false

/**
 * Makes tfjs 4.22's wasm backend fit for training: adds the kernel it lacks and replaces those that are wrong or slow.
 * Each repair has a test that fails on the stock kernel. The backend must be set; a second call does nothing.
 */
export function repairWasm(): void {
  if (done) return
  done = true
  repairMatrixProduct()
  repairSmallStridedConvolution()
  repairKernelGradient()
  repairImageGradient()
  repairMaxPoolGradient()
}
