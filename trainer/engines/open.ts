import { availableParallelism } from 'node:os'
import type { Provider } from '../../converters/onnx/runtime/session.ts'
import type { Engine, SharingEngine, WeightSpec } from './engine.ts'

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
  /** Processes that share every batch, each with batch norm of its own; on GPUs each has one of its own. Default: 1. */
  readonly processes?: number
  /** Where the engine on onnxruntime computes; the others decide by their backend. */
  readonly provider?: Provider
}

/** @throws ZooError `backend-unavailable` */
export async function openEngine(backend: Backend, options: EngineOptions): Promise<Engine> {
  if (backend === 'auto') {
    const { bestBackend } = await import('./best.ts')
    return openEngine(await bestBackend(), options)
  }
  const engine = await openShare(backend, options)
  if ((options.processes ?? 1) === 1) return engine
  const { ParallelEngine } = await import('./parallel/engine.ts')
  return ParallelEngine.open(engine, backend, options)
}

/** The engine of one process, which may be one of several. */
export async function openShare(
  backend: Exclude<Backend, 'auto'>,
  options: EngineOptions,
): Promise<SharingEngine> {
  const { processes = 1 } = options
  if (backend === 'ort') {
    const { OnnxruntimeEngine } = await import('./onnxruntime/engine.ts')
    const threads = Math.max(1, Math.floor(availableParallelism() / processes))
    return new OnnxruntimeEngine({ ...options, ...(processes > 1 && { threads }) })
  }
  const { useBackend } = await import('./tfjs/backend.ts')
  const { TfjsEngine } = await import('./tfjs/engine.ts')
  await useBackend(backend)
  return new TfjsEngine({ ...options, backend })
}
