import { GraphBuilder } from '../../../converters/onnx/builder.ts'
import { type Dim, emptyGraph, type Model, modelOf } from '../../../converters/onnx/graph.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { type DataType, Tensor } from '../../../converters/onnx/tensor.ts'
import { normals } from '../../../converters/perturb/random.ts'

export interface TinyOptions {
  readonly input?: string
  readonly dtype?: DataType
  /** Shape of the input; default [N, 3, 4, 4]. */
  readonly dims?: readonly Dim[]
  /** From the input to images [N, 3, 4, 4] in the network's own units. */
  readonly head?: (b: GraphBuilder, input: string) => string
  /** From logits [N, 4] to the model's output. */
  readonly tail?: (b: GraphBuilder, logits: string) => string
  readonly outputDims?: readonly Dim[]
}

/** A small convolutional network of four classes, with whatever one likes before and after it. */
export function tinyClassifier(options: TinyOptions = {}): Model {
  const { input = 'input', dtype = 'float32', dims = ['N', 3, 4, 4], outputDims = ['N', 4] } = options
  const graph = emptyGraph('tiny')
  graph.inputs.push({ name: input, dtype, dims })
  const b = new GraphBuilder(graph)
  const images = options.head?.(b, input) ?? input
  const convolved = b.op(
    'Conv',
    [images, b.floats([5, 3, 3, 3], normals([1], 135)), b.floats([5], normals([2], 5))],
    {
      pads: [1, 1, 1, 1],
    },
  )
  const pooled = b.op('GlobalAveragePool', [b.op('Relu', [convolved])])
  const flat = b.op('Flatten', [pooled])
  const logits = b.op('Gemm', [flat, b.floats([5, 4], normals([3], 20)), b.floats([4], normals([4], 4))])
  const output = options.tail?.(b, logits) ?? logits
  graph.outputs.push({ name: output, dtype: 'float32', dims: [...outputDims] })
  return modelOf(graph)
}

/** Runs a model once in this process. */
export async function run(model: Model, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await openSession(model)
  try {
    return await session.run(feeds)
  } finally {
    await session.release()
  }
}

/** Two images in [0,1], NCHW. */
export const images = Tensor.float32(
  [2, 3, 4, 4],
  Float32Array.from({ length: 96 }, (_, i) => (i * 0.6180339887) % 1),
)
