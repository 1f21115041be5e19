import type { Provider } from '../../converters/onnx/runtime/session.ts'
import type { Engine, WeightSpec } from './engine.ts'

/** `ort` is the engine on onnxruntime; the others are backends of the engine on tfjs. `auto` is the best that works here. */
export const BACKENDS = ['auto', 'cuda', 'node', 'ort', 'wasm', 'cpu'] as const
export type Backend = (typeof BACKENDS)[number]

export interface EngineOptions {
  readonly weights: readonly WeightSpec[]
  /** What running statistics keep of themselves at each training pass. */
  readonly statisticsMomentum: number
  /**
   * Gradient checkpointing: backward passes compute most of the forward pass once more instead of keeping it, so that
   * memory grows with the square root of the depth. An engine that frees memory in other ways may ignore it.
   */
  readonly recompute?: boolean
  /** Processes that share every batch, for engines on tfjs; the engine on onnxruntime shares by itself. */
  readonly processes?: number
  /** Where the engine on onnxruntime computes; the others decide by their backend. */
  readonly provider?: Provider
}

/** @throws ZooError `backend-unavailable` */
export async function openEngine(backend: Backend, options: EngineOptions): Promise<Engine> {
  const { processes = 1 } = options
  if (backend === 'auto') {
    const { bestBackend } = await import('./best.ts')
    return openEngine(await bestBackend(), options)
  }
  if (backend === 'ort') {
    const { OnnxruntimeEngine } = await import('./onnxruntime/engine.ts')
    return new OnnxruntimeEngine(options)
  }
  const { useBackend } = await import('./tfjs/backend.ts')
  const { TfjsEngine } = await import('./tfjs/engine.ts')
  await useBackend(backend)
  const engine = new TfjsEngine({ ...options, backend })
  if (processes === 1) return engine
  const { ParallelEngine } = await import('./parallel/engine.ts')
  return ParallelEngine.open(engine, { ...options, backend }, processes)
}
