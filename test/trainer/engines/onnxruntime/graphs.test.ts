import { describe, expect, it } from 'vitest'
import { float, GraphBuilder } from '../../../../converters/onnx/builder.ts'
import { emptyGraph, type Graph, modelOf } from '../../../../converters/onnx/graph.ts'
import { openSession } from '../../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { normals } from '../../../../converters/perturb/random.ts'
import {
  foldRunningStatistics,
  withComputedStatistics,
} from '../../../../trainer/engines/onnxruntime/batch-norm.ts'
import { hoist } from '../../../../trainer/engines/onnxruntime/hoist.ts'
import { optimised } from '../../../../trainer/engines/onnxruntime/layout.ts'
import { agree, trialValues } from '../../../../trainer/engines/onnxruntime/trial.ts'
import { batchStatistics } from '../../../../trainer/resnet/statistics.ts'

const random = (seed: number, dims: readonly number[]) =>
  Tensor.float32(
    dims,
    normals(
      [seed],
      dims.reduce((a, b) => a * b, 1),
    ),
  )
const image = random(0, [2, 3, 8, 8])

/** Convolution, then batch norm; `twice` reads the convolution's result a second time. */
function network(twice = false): Graph {
  const graph = emptyGraph('network')
  graph.inputs.push({ name: 'image', dtype: 'float32', dims: [2, 3, 8, 8] })
  const b = new GraphBuilder(graph)
  graph.initializers.set('kernel', random(1, [20, 3, 3, 3]))
  graph.initializers.set('scale', random(2, [20]))
  graph.initializers.set('shift', random(3, [20]))
  graph.initializers.set('mean', random(4, [20]))
  graph.initializers.set(
    'variance',
    Tensor.float32(
      [20],
      random(5, [20]).floats.map((v) => 0.5 + v * v),
    ),
  )
  const x = b.op('Conv', ['image', 'kernel'], { pads: [1, 1, 1, 1] }, { outputs: ['x'] })
  const parts = ['scale', 'shift', 'mean', 'variance']
  b.op('BatchNormalization', [x, ...parts], { epsilon: float(0.01) }, { outputs: ['y'] })
  if (twice) b.op('Relu', [x], {}, { outputs: ['z'] })
  for (const name of twice ? ['y', 'z'] : ['y']) graph.outputs.push({ name, dtype: 'float32', dims: null })
  return graph
}

const run = async (graph: Graph, feeds: Record<string, Tensor>) => {
  const session = await openSession(modelOf(graph), { threads: 1 })
  const results = await session.run(feeds)
  await session.release()
  return results
}

const operators = (graph: Graph) => graph.nodes.map(({ opType }) => opType)

function expectClose(a: Tensor, b: Tensor): void {
  expect(a.dims).toEqual(b.dims)
  a.floats.forEach((value, i) => {
    expect(value).toBeCloseTo(b.floats[i]!, 4)
  })
}

describe('folding batch norm as nodes', () => {
  it('computes the same, without normalising', async () => {
    const folded = foldRunningStatistics(network())
    expect(operators(folded)).not.toContain('BatchNormalization')
    expectClose((await run(folded, { image })).y!, (await run(network(), { image })).y!)
  })

  it('leaves a convolution alone whose result is read elsewhere', () => {
    expect(operators(foldRunningStatistics(network(true)))).toEqual(['Conv', 'BatchNormalization', 'Relu'])
  })
})

describe('batch norm by statistics that nodes of their own compute', () => {
  it('gives what training mode gives, statistics included', async () => {
    const { graph } = batchStatistics(network())
    const computed = withComputedStatistics(graph, () => 4)
    expect(operators(computed)).toContain('ReduceMean')
    const [a, b] = [await run(graph, { image }), await run(computed, { image })]
    expect(Object.keys(a)).toEqual(['y', 'mean:batch', 'variance:batch'])
    for (const name of Object.keys(a)) expectClose(b[name]!, a[name]!)
  })
})

const isWeight = (name: string) => network().initializers.has(name)

function withWeightsAsInputs(graph: Graph): Graph {
  const weights = [...graph.initializers].filter(([name]) => isWeight(name))
  return {
    ...graph,
    inputs: [
      ...graph.inputs,
      ...weights.map(([name, { dims }]) => ({ name, dtype: 'float32' as const, dims })),
    ],
    initializers: new Map([...graph.initializers].filter(([name]) => !isWeight(name))),
  }
}

describe('hoisting what depends on weights alone', () => {
  it('splits a graph in two that compute the same one after the other', async () => {
    const { derivation, rest } = hoist(withWeightsAsInputs(foldRunningStatistics(network())), isWeight)
    expect(operators(rest)).toEqual(['Conv'])
    expect(derivation.inputs.map(({ name }) => name)).not.toContain('image')
    const weights = Object.fromEntries(network().initializers)
    const derived = await run(derivation, weights)
    const inputs = rest.inputs.map((input) => ({ ...input, dims: derived[input.name]?.dims ?? input.dims }))
    const result = await run({ ...rest, inputs }, { image, ...derived })
    expectClose(result.y!, (await run(network(), { image })).y!)
  })
})

describe('the optimised form with kernels as inputs', () => {
  const dims = new Map([['kernel', [20, 3, 3, 3]]])
  const withKernelAsInput = (graph: Graph): Graph => ({
    ...graph,
    inputs: [...graph.inputs, { name: 'kernel', dtype: 'float32', dims: [20, 3, 3, 3] }],
    initializers: new Map([...graph.initializers].filter(([name]) => name !== 'kernel')),
  })

  function convolution(after: (b: GraphBuilder, x: string) => void): Graph {
    const graph = emptyGraph('convolution')
    graph.inputs.push({ name: 'image', dtype: 'float32', dims: [2, 3, 8, 8] })
    graph.initializers.set('kernel', random(1, [20, 3, 3, 3]))
    const b = new GraphBuilder(graph)
    after(b, b.op('Conv', ['image', 'kernel'], { pads: [1, 1, 1, 1] }))
    graph.outputs.push({ name: 'y', dtype: 'float32', dims: null })
    return graph
  }

  it('computes the same for any kernel, placed element by element', async () => {
    const graph = convolution((b, x) => b.op('Relu', [x], {}, { outputs: ['y'] }))
    const result = (await optimised(modelOf(withKernelAsInput(graph)), dims))!
    const session = await openSession(result.model, { optimisation: 'disabled' })
    for (const seed of [11, 12]) {
      const kernel = random(seed, [20, 3, 3, 3])
      const placed = result.placements.map(({ input, dims, source, order }) => {
        expect(source).toBe('kernel')
        const values = order
          ? Float32Array.from(order, (i) => (i < 0 ? 0 : kernel.floats[i]!))
          : kernel.floats
        return [input, Tensor.float32(dims, values)] as const
      })
      const { y } = await session.run({ image, ...Object.fromEntries(placed) })
      expectClose(y!, (await run(withKernelAsInput(graph), { image, kernel })).y!)
    }
    await session.release()
  })

  it('is not there where an optimisation would compute with the kernel', async () => {
    const graph = convolution((b, x) =>
      b.op('Mul', [x, b.floats([20, 1, 1], random(7, [20]).floats)], {}, { outputs: ['y'] }),
    )
    expect(await optimised(modelOf(withKernelAsInput(graph)), dims)).toBeUndefined()
  })
})

describe('trials', () => {
  it('show a value in the wrong place although all were alike', () => {
    const values = {
      a: Tensor.float32([40], new Float32Array(40).fill(1)),
      b: Tensor.float32([40], new Float32Array(40)),
    }
    const trial = trialValues(values)
    expect(new Set(trial.a!.numbers).size).toBe(40)
    expect(new Set(trial.b!.numbers).size).toBe(40)
    expect(agree(trial, trial)).toBe(true)
    const moved = Tensor.float32([40], trial.b!.floats.slice().reverse())
    expect(agree({ ...trial, b: moved }, trial)).toBe(false)
  })
})
