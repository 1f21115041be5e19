import { asZooError, ZooError } from '../../../manifests/error.ts'
import { GraphBuilder } from '../builder.ts'
import { emptyGraph, type Model, modelOf } from '../graph.ts'
import { Tensor } from '../tensor.ts'
import { openChildSession } from './child.ts'
import type { Provider } from './session.ts'

export interface ProviderExamination {
  readonly provider: Provider
  readonly works: boolean
  /** That it agrees, or why it doesn't work and what to do about it. */
  readonly detail: string
  readonly hint?: string
  readonly seconds: number
}

const PROVIDERS: readonly Provider[] = ['cpu', 'cuda', 'webgpu']

/** A 3x3 convolution with ones, rectified after 60 is taken off, summed by a dense layer. */
function smallModel(): Model {
  const graph = emptyGraph('provider-test')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: [1, 1, 4, 4] })
  graph.outputs.push({ name: 'y', dtype: 'float32', dims: [1, 2] })
  const b = new GraphBuilder(graph)
  const sums = b.op('Conv', ['x', b.floats([1, 1, 3, 3], Array(9).fill(1)), b.floats([1], [-60])])
  const flat = b.op('Flatten', [b.op('Relu', [sums])])
  b.ops('Gemm', [flat, b.floats([4, 2], [1, 0, 1, 0, 1, 1, 1, 2])], {}, { outputs: ['y'] })
  return modelOf(graph)
}

/** Sums of the windows of 0..15 are 45, 54, 81, 90; rectified: 0, 0, 21, 30. */
const X = Tensor.float32(
  [1, 1, 4, 4],
  Float32Array.from({ length: 16 }, (_, i) => i),
)
const Y = [51, 81]

/** Which of onnxruntime's providers work here, each proved by a small computation in a process of its own. */
export async function examineProviders(): Promise<ProviderExamination[]> {
  const examinations: ProviderExamination[] = []
  for (const provider of PROVIDERS) {
    const began = performance.now()
    const finding = await examine(provider)
    examinations.push({ provider, ...finding, seconds: (performance.now() - began) / 1000 })
  }
  return examinations
}

async function examine(provider: Provider): Promise<Omit<ProviderExamination, 'provider' | 'seconds'>> {
  try {
    const session = await openChildSession(smallModel(), { provider, threads: 1 })
    try {
      const { y } = await session.run({ x: X })
      if (!y!.numbers.every((value, i) => Math.abs(value - Y[i]!) < 1e-3))
        throw new ZooError('backend-unavailable', `it computes ${y!.numbers} where ${Y} is right`)
    } finally {
      await session.release()
    }
    return { works: true, detail: 'a small network gives the right numbers' }
  } catch (error) {
    const { message, hint } = asZooError(error)
    return { works: false, detail: message, ...(hint === undefined ? {} : { hint }) }
  }
}
