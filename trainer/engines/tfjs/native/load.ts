import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import * as tf from '@tensorflow/tfjs'
import { ZooError } from '../../../../manifests/error.ts'
import { bindingPath, NATIVE } from './libraries.ts'

interface NativeBackend extends tf.KernelBackend {
  readonly isUsingGpuDevice: boolean
}

/**
 * Loads the binding to libtensorflow and makes it tfjs's current backend. It stands in for the main module of
 * @tensorflow/tfjs-node-gpu, which insists on a binding inside its own folder.
 *
 * @param gpu whether there must be a GPU; without, one is used if it is there
 * @throws ZooError `backend-unavailable`, saying what is missing
 */
export async function useNative(gpu: boolean): Promise<void> {
  const path = bindingPath()
  if (!existsSync(path))
    throw new ZooError('backend-unavailable', "tfjs's native binding is not set up on this machine", {
      hint: gpu ? 'zoo setup tfjs --gpu' : 'zoo setup tfjs',
    })
  if (tf.findBackend(NATIVE) === null) register(path, gpu)
  await tf.setBackend(NATIVE)
  if (gpu && !(tf.backend() as NativeBackend).isUsingGpuDevice)
    throw new ZooError('backend-unavailable', 'libtensorflow finds no GPU here', {
      hint: 'CUDA 12 and cuDNN 9 must be where the loader finds them; zoo setup tfjs --gpu gets the CUDA build',
    })
}

function register(path: string, gpu: boolean): void {
  const require = createRequire(import.meta.url)
  restoreUtil(require('node:util') as Record<string, unknown>)
  // Before the library loads: quiet, one process must not take all of a GPU's memory, and `node` must not see one.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2'
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true'
  if (!gpu) process.env.CUDA_VISIBLE_DEVICES ??= '-1'
  const { NodeJSKernelBackend } = require('@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js') as {
    NodeJSKernelBackend: new (binding: unknown, name: string) => NativeBackend
  }
  require('@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js')
  const binding: unknown = require(path)
  tf.registerBackend(NATIVE, () => new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node-gpu'))
}

/** tfjs-node 4.22 uses what Node 23 removed from `util`. */
function restoreUtil(util: Record<string, unknown>): void {
  util.isNullOrUndefined ??= (value: unknown): boolean => value === null || value === undefined
  util.isArray ??= Array.isArray
}
