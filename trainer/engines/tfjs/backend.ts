import * as tf from '@tensorflow/tfjs'
import { asZooError, ZooError } from '../../../manifests/error.ts'
import { NATIVE } from './native/libraries.ts'

/** What tfjs can compute on: `cuda` and `node` are one binding to libtensorflow, with and without a GPU. */
export const TFJS_BACKENDS = ['cuda', 'node', 'wasm', 'cpu'] as const
export type TfjsBackend = (typeof TFJS_BACKENDS)[number]

/** The name that tfjs itself has for a backend. */
const tfjsName = (backend: TfjsBackend): string =>
  backend === 'cuda' || backend === 'node' ? NATIVE : backend

/** Makes a backend that is loaded tfjs's current one: engines on different backends may live side by side. */
export async function switchTo(backend: TfjsBackend): Promise<void> {
  const name = tfjsName(backend)
  if (tf.getBackend() !== name) await tf.setBackend(name)
}

/**
 * Loads a backend and makes it tfjs's current one.
 *
 * @throws ZooError `backend-unavailable`, saying why
 */
export async function useBackend(backend: TfjsBackend): Promise<void> {
  // tfjs advertises its other packages on the console unless it is told that this is production.
  tf.enableProdMode()
  try {
    if (backend === 'wasm') await useWasm()
    else if (backend === 'cpu') await tf.setBackend('cpu')
    else await (await import('./native/load.ts')).useNative(backend === 'cuda')
  } catch (error) {
    if (error instanceof ZooError) throw error
    const { message } = asZooError(error)
    throw new ZooError('backend-unavailable', `tfjs's ${backend} backend did not start: ${message}`, {
      cause: error,
    })
  }
}

async function useWasm(): Promise<void> {
  const before = EVENTS.map((event) => process.listeners(event as 'uncaughtException'))
  await import('@tensorflow/tfjs-backend-wasm')
  await tf.setBackend('wasm')
  // Emscripten's handlers would answer any uncaught error by printing the whole of its own source.
  EVENTS.forEach((event, i) => {
    for (const listener of process.listeners(event as 'uncaughtException'))
      if (!before[i]!.includes(listener)) process.removeListener(event, listener)
  })
  const { repairWasm } = await import('./wasm/repair.ts')
  repairWasm()
}

const EVENTS = ['uncaughtException', 'unhandledRejection'] as const
