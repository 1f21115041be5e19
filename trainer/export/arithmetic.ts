import { resolve } from '../../converters/onnx/gradient/resolve.ts'
import { fixed } from '../../converters/onnx/gradient/sizes.ts'
import type { Model } from '../../converters/onnx/graph.ts'
import { sizeOf } from '../../converters/onnx/tensor.ts'

/** Multiplications and additions of the convolutions and dense layers of one forward pass over one image. */
export async function operationsOf(model: Model): Promise<number> {
  const { model: resolved, facts } = await resolve(model, { batch: 1 })
  const sizes = (value: string): number[] => fixed(facts.sizes(value), 'a size')
  let operations = 0
  // The weights are [out, in, ...] in both: our dense layer has transB.
  for (const { opType, inputs, outputs } of resolved.graph.nodes)
    if (opType === 'Conv' || opType === 'Gemm')
      operations += 2 * sizeOf(sizes(inputs[1]!).slice(1)) * sizeOf(sizes(outputs[0]!))
  return operations
}
