import { GraphBuilder } from '../../converters/onnx/builder.ts'
import { writeModel } from '../../converters/onnx/file.ts'
import { emptyGraph, modelOf } from '../../converters/onnx/graph.ts'
import { Tensor } from '../../converters/onnx/tensor.ts'
import { normals, uniforms } from '../../converters/perturb/random.ts'
import { writeNpz } from '../npz.ts'

export const SHAPE = [1, 6, 6] as const
const SIZE = 36
export const CLASSES = 5
const HIDDEN = 16

/** What happens to the logits of a net before they leave it. */
export type Ending = 'logits' | 'softmax' | 'shares' | 'step' | 'noise' | 'nan'

const weight = (key: number, rows: number, columns: number): Tensor =>
  Tensor.float32(
    [rows, columns],
    normals([key], rows * columns).map((value) => (3 * value) / Math.sqrt(rows)),
  )

/** Writes a small net: image [N,1,6,6] from 0 to `white` → Gemm, ReLU, Gemm → logits [N,5]. */
export async function writeNet(
  path: string,
  { key = 1, ending = 'logits' as Ending, batch = 'N' as string | number, white = 1 } = {},
) {
  const graph = emptyGraph('net')
  graph.inputs.push({ name: 'image', dtype: 'float32', dims: [batch, ...SHAPE] })
  const b = new GraphBuilder(graph)
  graph.initializers.set('w1', weight(10 * key, SIZE, HIDDEN))
  graph.initializers.set('w2', weight(10 * key + 1, HIDDEN, CLASSES))
  const unit = white === 1 ? 'image' : b.op('Div', ['image', b.scalar(white)])
  const centred = b.op('Sub', [b.op('Flatten', [unit], { axis: 1 }), b.scalar(0.5)])
  const logits = b.op('MatMul', [b.op('Relu', [b.op('MatMul', [centred, 'w1'])]), 'w2'])
  const ends: Record<Ending, () => string> = {
    logits: () => logits,
    softmax: () => b.op('Softmax', [logits], { axis: 1 }),
    // A softmax that is not called so.
    shares: () => {
      const powers = b.op('Exp', [logits])
      return b.op('Div', [powers, b.op('ReduceSum', [powers, b.int64s([1])])])
    },
    // A staircase: no slope anywhere.
    step: () => b.op('Floor', [b.op('Mul', [logits, b.scalar(4)])]),
    noise: () => b.op('Add', [logits, b.op('Mul', [b.op('RandomNormalLike', [logits]), b.scalar(0.1)])]),
    nan: () => b.op('Log', [b.op('Sub', [logits, b.scalar(100)])]),
  }
  const out = b.op('Identity', [ends[ending]()], {}, { outputs: ['out'] })
  graph.outputs.push({ name: out, dtype: 'float32', dims: [batch, CLASSES] })
  await writeModel(modelOf(graph), path)
  return path
}

/** What the net of `writeNet` says, in plain JavaScript: labels for images. */
export function labelsOf(x: Float32Array, key = 1): number[] {
  const w1 = weight(10 * key, SIZE, HIDDEN).floats
  const w2 = weight(10 * key + 1, HIDDEN, CLASSES).floats
  return Array.from({ length: x.length / SIZE }, (_, n) => {
    const hidden = Array.from({ length: HIDDEN }, (_, j) => {
      let sum = 0
      for (let i = 0; i < SIZE; i++) sum += (x[n * SIZE + i]! - 0.5) * w1[i * HIDDEN + j]!
      return Math.max(sum, 0)
    })
    const logits = Array.from({ length: CLASSES }, (_, k) =>
      hidden.reduce((sum, value, j) => sum + value * w2[j * CLASSES + k]!, 0),
    )
    return logits.indexOf(Math.max(...logits))
  })
}

/** Writes random images with the net's own labels, every tenth of them wrong. */
export function writeImages(
  path: string,
  count: number,
  more: { eps?: number[]; target?: number[] } = {},
): string {
  const x = uniforms([77], count * SIZE)
  const y = labelsOf(x).map((label, i) => (i % 10 === 9 ? (label + 1) % CLASSES : label))
  return writeNpz(path, { x, shape: [count, ...SHAPE], y, ...more })
}
