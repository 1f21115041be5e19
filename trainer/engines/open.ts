import type { Engine, WeightSpec } from './engine.ts'

/** `ort` is the engine on onnxruntime; the others are backends of the engine on tfjs. `auto` is the best that works here. */
export const BACKENDS = ['auto', 'cuda', 'node', 'ort', 'wasm', 'cpu'] as const
export type Backend = (typeof BACKENDS)[number]

export interface EngineOptions {
  readonly weights: readonly WeightSpec[]
  /** What running statistics keep of themselves at each training pass. */
  readonly statisticsMomentum: number
}

/** @throws ZooError `backend-unavailable` */
export async function openEngine(backend: Backend, options: EngineOptions): Promise<Engine> {
  if (backend === 'ort') {
    const { OnnxruntimeEngine } = await import('./onnxruntime/engine.ts')
    return new OnnxruntimeEngine(options)
  }
  const { useBackend } = await import('./tfjs/backend.ts')
  const { TfjsEngine } = await import('./tfjs/engine.ts')
  const chosen = backend === 'auto' ? 'wasm' : backend
  await useBackend(chosen)
  return new TfjsEngine({ ...options, backend: chosen })
}
