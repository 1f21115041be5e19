import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AttributeValues, float, GraphBuilder } from '../../../converters/onnx/builder.ts'
import { foldBatchNorm } from '../../../converters/onnx/fold.ts'
import { emptyGraph, type Graph, modelOf } from '../../../converters/onnx/graph.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'

interface Layer {
  readonly op: string
  readonly input: readonly number[]
  readonly weight: readonly number[]
  readonly channels: number
  readonly attributes: AttributeValues
}

const LAYERS: Readonly<Record<string, Layer>> = {
  conv: {
    op: 'Conv',
    input: [2, 3, 5, 5],
    weight: [4, 3, 3, 3],
    channels: 4,
    attributes: { pads: [1, 1, 1, 1] },
  },
  'grouped conv': {
    op: 'Conv',
    input: [2, 4, 5, 5],
    weight: [6, 2, 3, 3],
    channels: 6,
    attributes: { group: 2 },
  },
  'conv along one axis': { op: 'Conv', input: [2, 3, 7], weight: [4, 3, 3], channels: 4, attributes: {} },
  'transposed conv': {
    op: 'ConvTranspose',
    input: [2, 4, 3, 3],
    weight: [4, 3, 2, 2],
    channels: 6,
    attributes: { group: 2, strides: [2, 2] },
  },
  dense: {
    op: 'Gemm',
    input: [2, 5],
    weight: [5, 3],
    channels: 3,
    attributes: { alpha: float(0.5), beta: float(2) },
  },
  'dense, transposed': { op: 'Gemm', input: [2, 5], weight: [3, 5], channels: 3, attributes: { transB: 1 } },
}

/** Values that look random, the same for the same seed. */
const values = (count: number, seed: number, low = -1, high = 1): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453
    return low + (x - Math.floor(x)) * (high - low)
  })

const count = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1)

/** A layer followed by `chain`, each link one of the operators that fold. */
function network(layer: Layer, chain: readonly string[], seed: number, bias: boolean): Graph {
  const graph = emptyGraph('network')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: [...layer.input] })
  graph.outputs.push({ name: 'y', dtype: 'float32', dims: null })
  const b = new GraphBuilder(graph)
  const constant = (dims: readonly number[], low = -1, high = 1): string =>
    b.floats(dims, values(count(dims), seed++, low, high), 'parameter')
  const c = layer.channels
  const perChannel = [c, ...layer.input.slice(2).map(() => 1)]
  let y = b.op(layer.op, ['x', constant(layer.weight), ...(bias ? [constant([c])] : [])], layer.attributes)
  for (const link of chain) {
    if (link === 'BatchNormalization') {
      const statistics = [constant([c], 0.5, 2), constant([c]), constant([c]), constant([c], 0.1, 3)]
      y = b.op(link, [y, ...statistics], { epsilon: float(1e-3) })
    } else if (link === 'scalar Mul') y = b.op('Mul', [constant([]), y])
    else if (link === 'reversed Sub') y = b.op('Sub', [constant([1, ...perChannel]), y])
    else y = b.op(link, [y, constant(perChannel, 0.5, 2)])
  }
  b.op('Identity', [y], {}, { outputs: ['y'] })
  return graph
}

async function run(graph: Graph, x: Tensor): Promise<readonly number[]> {
  const session = await openSession(modelOf(graph), { threads: 1, optimisation: 'disabled' })
  const { y } = await session.run({ x })
  await session.release()
  return y!.numbers
}

const LINKS = ['BatchNormalization', 'Add', 'Sub', 'Mul', 'Div', 'scalar Mul', 'reversed Sub']

describe('foldBatchNorm', () => {
  it.each(Object.entries(LAYERS))('folds any chain into a %s', async (_, layer) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...LINKS), { minLength: 1, maxLength: 4 }),
        fc.nat(1000),
        fc.boolean(),
        async (chain, seed, bias) => {
          const graph = network(layer, chain, seed, bias)
          const folded = foldBatchNorm(graph)
          expect(folded.nodes.map((node) => node.opType)).toEqual([layer.op, 'Identity'])
          const x = Tensor.float32(layer.input, values(count(layer.input), seed))
          const [before, after] = [await run(graph, x), await run(folded, x)]
          const size = Math.max(...before.map(Math.abs))
          for (const [i, value] of before.entries())
            expect(Math.abs(after[i]! - value)).toBeLessThan(3e-6 * size)
        },
      ),
      { numRuns: 15 },
    )
  })

  it('rounds once: a chain that comes to nothing gives back the weights as they were', () => {
    const graph = emptyGraph('inverse')
    graph.inputs.push({ name: 'x', dtype: 'float32', dims: [1, 1, 4, 4] })
    graph.outputs.push({ name: 'y', dtype: 'float32', dims: null })
    const b = new GraphBuilder(graph)
    const weight = values(9, 1)
    const y = b.op('Conv', ['x', b.floats([1, 1, 3, 3], weight, 'weight')])
    b.op('Mul', [b.op('Mul', [y, b.scalar(3)]), b.scalar(1 / 3)], {}, { outputs: ['y'] })
    const third = Math.fround(1 / 3) * 3
    const expected = weight.map((value) => value * third)
    expect(foldBatchNorm(graph).initializers.get('weight')!.elements).toEqual(expected)
  })

  it('leaves alone what it must not change', () => {
    const base = LAYERS.conv!
    const shared = network(base, ['BatchNormalization'], 1, true)
    shared.outputs.push({ name: shared.nodes[0]!.outputs[0]!, dtype: 'float32', dims: null })
    expect(foldBatchNorm(shared)).toBe(shared)

    const training = network(base, [], 1, true)
    const b = new GraphBuilder(training)
    const statistics = [1, 2, 3, 4].map((seed) => b.floats([4], values(4, seed, 0.5, 2)))
    b.op(
      'BatchNormalization',
      [training.nodes[0]!.outputs[0]!, ...statistics],
      { training_mode: 1 },
      { outputs: ['z'] },
    )
    training.nodes.splice(1, 1)
    training.outputs[0] = { name: 'z', dtype: 'float32', dims: null }
    expect(foldBatchNorm(training)).toBe(training)

    const perPixel = network(base, [], 1, true)
    const p = new GraphBuilder(perPixel)
    p.op('Add', ['y', p.floats([5, 5], values(25, 1))], {}, { outputs: ['z'] })
    perPixel.outputs[0] = { name: 'z', dtype: 'float32', dims: null }
    expect(foldBatchNorm(perPixel)).toBe(perPixel)
  })

  it('gives layers that share weights weights of their own', async () => {
    const graph = emptyGraph('siamese')
    graph.inputs.push({ name: 'x', dtype: 'float32', dims: [1, 1, 4, 4] })
    graph.outputs.push({ name: 'y', dtype: 'float32', dims: null })
    const b = new GraphBuilder(graph)
    const weight = b.floats([1, 1, 3, 3], values(9, 1), 'weight')
    const one = b.op('Mul', [b.op('Conv', ['x', weight]), b.scalar(2)])
    const two = b.op('Conv', ['x', weight])
    b.op('Sub', [one, two], {}, { outputs: ['y'] })
    const x = Tensor.float32([1, 1, 4, 4], values(16, 2))
    const before = await run(graph, x)
    const after = await run(foldBatchNorm(graph), x)
    for (const [i, value] of before.entries()) expect(after[i]).toBeCloseTo(value, 6)
  })
})
