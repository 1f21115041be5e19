import { ZooError } from '../../manifests/error.ts'
import type { Backend } from './open.ts'
import { selfTest } from './self-test.ts'

/** From fastest to slowest where they work; `cpu` is for tests alone. */
const PREFERENCE = ['cuda', 'ort', 'node', 'wasm'] as const

let best: Promise<Exclude<Backend, 'auto'>> | undefined

/** The fastest backend that is set up here and passes its self-test; found once in a process. */
export function bestBackend(): Promise<Exclude<Backend, 'auto'>> {
  best ??= find()
  return best
}

async function find(): Promise<Exclude<Backend, 'auto'>> {
  for (const backend of PREFERENCE) {
    try {
      await selfTest(backend)
      return backend
    } catch (error) {
      if (!(error instanceof ZooError)) throw error
    }
  }
  throw new ZooError('backend-unavailable', 'no backend for training works on this machine', {
    hint: 'zoo doctor says what is wrong with each',
  })
}
