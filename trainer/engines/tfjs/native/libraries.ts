import { join } from 'node:path'
import { cacheFolder } from '../../../../manifests/cache.ts'

/** What tfjs calls the backend that computes with libtensorflow, with and without a GPU. */
export const NATIVE = 'tensorflow'

/**
 * libtensorflow is taken from TensorFlow's own wheels: the official archives of the C library end at versions that
 * newer GPUs don't know. The wheels of the CUDA build compute on the CPU where there is no GPU.
 */
export interface Wheel {
  /** A requirement that pip understands. */
  readonly requirement: string
  readonly sha256: string
  /** pip's name for the platform. */
  readonly platform: string
}

/** This version has the C interface that tfjs's binding 4.22 was written for, and CUDA 12. */
export const TENSORFLOW = '2.18.1'
export const PYTHON = { version: '3.11', abi: 'cp311' } as const

type Variant = 'cpu' | 'gpu'

const WHEELS: Readonly<Record<string, Partial<Record<Variant, Wheel>>>> = {
  'linux-x64': {
    cpu: {
      requirement: `tensorflow-cpu==${TENSORFLOW}`,
      sha256: '810c75d7149d2da0cb2092187817b0dcabb80728ca9f9cf3a61f3f42fadd1298',
      platform: 'manylinux_2_17_x86_64',
    },
    gpu: {
      requirement: `tensorflow==${TENSORFLOW}`,
      sha256: 'c9f87e5d2a680a4595f5dc30daf6bbaec9d4129b46d7ef1b2af63c46ac7d2828',
      platform: 'manylinux_2_17_x86_64',
    },
  },
  'linux-arm64': {
    cpu: {
      requirement: `tensorflow==${TENSORFLOW}`,
      sha256: '8a6485edd2148f70d011dbd1d8dc2c775e91774a5a159466e83d0d1f21580944',
      platform: 'manylinux_2_17_aarch64',
    },
  },
  'darwin-arm64': {
    cpu: {
      requirement: `tensorflow==${TENSORFLOW}`,
      sha256: '661029cd769b311db910b79a3a6ef50a5a61ecc947172228c777a49989722508',
      platform: 'macosx_12_0_arm64',
    },
  },
}

/** The wheel for this machine, or undefined where TensorFlow publishes none that fits. */
export const wheelFor = (gpu: boolean): Wheel | undefined =>
  WHEELS[`${process.platform}-${process.arch}`]?.[gpu ? 'gpu' : 'cpu']

/** Names of the two libraries, as the loader asks for them and as the linker does. */
export const LIBRARIES =
  process.platform === 'darwin'
    ? ([
        { file: 'libtensorflow_cc.2.dylib', linked: 'libtensorflow.2.dylib' },
        { file: 'libtensorflow_framework.2.dylib', linked: 'libtensorflow_framework.2.dylib' },
      ] as const)
    : ([
        { file: 'libtensorflow_cc.so.2', linked: 'libtensorflow.so' },
        { file: 'libtensorflow_framework.so.2', linked: 'libtensorflow_framework.so' },
      ] as const)

/** Where the binding that `zoo setup tfjs` builds lies: outside of any checkout, one for each version and machine. */
export const nativeFolder = (): string =>
  join(cacheFolder(), 'tfjs-native', `${TENSORFLOW}-${process.platform}-${process.arch}`)

/** The binding itself. Its loader path leads from here to `deps/lib`. */
export const bindingPath = (folder = nativeFolder()): string =>
  join(folder, 'lib', 'napi-v8', 'tfjs_binding.node')
