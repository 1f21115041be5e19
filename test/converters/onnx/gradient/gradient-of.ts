import { type AttributeValues, GraphBuilder } from '../../../../converters/onnx/builder.ts'
import { differentiate, gradientName } from '../../../../converters/onnx/gradient/differentiate.ts'
import { emptyGraph, modelOf } from '../../../../converters/onnx/graph.ts'
import { openSession } from '../../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'

/** The gradient of the sum of an operator's first output with respect to its first input, here and now. */
export async function gradientOf(
  op: string,
  [x, ...constants]: readonly [Float32Array, ...Tensor[]],
  attributes: AttributeValues = {},
  dims: readonly number[] = [x.length],
): Promise<number[]> {
  const graph = emptyGraph(op)
  graph.inputs.push({ name: 'x', dtype: 'float32', dims })
  const builder = new GraphBuilder(graph)
  const y = builder.op(op, ['x', ...constants.map((tensor) => builder.initializer(tensor))], attributes)
  graph.outputs.push({ name: y, dtype: 'float32', dims: null })
  const gradient = await differentiate(modelOf(graph), { of: y, withRespectTo: ['x'] })
  const session = await openSession(gradient)
  try {
    return (await session.run({ x: Tensor.float32(dims, x) }))[gradientName('x')]!.numbers
  } finally {
    await session.release()
  }
}
