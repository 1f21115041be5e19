import { describe, expect, test } from 'vitest'
import { GraphBuilder, makeNode } from '../../../../converters/onnx/builder.ts'
import { poolBeforeRelu } from '../../../../converters/onnx/gradient/commute.ts'
import { gradientCoverage } from '../../../../converters/onnx/gradient/coverage.ts'
import {
  type DifferentiateOptions,
  differentiate,
  gradientName,
} from '../../../../converters/onnx/gradient/differentiate.ts'
import { formula, smoothRelu, straightThrough } from '../../../../converters/onnx/gradient/overrides.ts'
import { RULES } from '../../../../converters/onnx/gradient/rules/table.ts'
import { emptyGraph, type Model, modelOf } from '../../../../converters/onnx/graph.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { run, tinyClassifier } from '../tiny.ts'
import { checkModel } from './check-rule.ts'
import { normal } from './operands.ts'

const X = Float32Array.of(-1.4, -0.2, 0.3, 2.6)

/** A model of the input x [4] whose result is `y`. */
function model(build: (b: GraphBuilder, x: string) => string): Model {
  const graph = emptyGraph('test')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: [4] })
  const b = new GraphBuilder(graph)
  b.op('Identity', [build(b, 'x')], {}, { outputs: ['y'] })
  return modelOf(graph)
}

async function gradient(of: Model, options: Partial<DifferentiateOptions> = {}): Promise<number[]> {
  const result = await differentiate(of, { of: 'y', withRespectTo: ['x'], ...options })
  return (await run(result, { x: Tensor.float32([4], X) }))[gradientName('x')]!.numbers
}

describe('what the gradient is taken of, and with respect to', () => {
  test('contributions of several paths are summed', async () => {
    const twice = model((b, x) => b.op('Add', [b.op('Mul', [x, x]), x]))
    const sums = await gradient(twice)
    for (const [i, x] of X.entries()) expect(sums[i]).toBeCloseTo(2 * x + 1, 5)
  })

  test('initialisers, inner values and inputs, all at once', async () => {
    const graph = emptyGraph('test')
    graph.inputs.push({ name: 'x', dtype: 'float32', dims: [2] })
    graph.initializers.set('w', Tensor.float32([2], [3, 5]))
    graph.nodes.push(makeNode('Mul', ['x', 'w'], ['h']), makeNode('Mul', ['h', 'h'], ['y']))
    const result = await differentiate(modelOf(graph), { of: 'y', withRespectTo: ['x', 'w', 'h'] })
    const out = await run(result, { x: Tensor.float32([2], [1, 2]) })
    expect(out['gradient/h']!.numbers).toEqual([6, 20])
    expect(out['gradient/x']!.numbers).toEqual([18, 100])
    expect(out['gradient/w']!.numbers).toEqual([6, 40])
  })

  test('all weights of a network', () => {
    const network = tinyClassifier({ dims: [2, 3, 4, 4] })
    const weights = [...network.graph.initializers.keys()]
    const inputs = weights.map((name) => {
      const tensor = network.graph.initializers.get(name)!
      return [name, { dims: tensor.dims, values: tensor.floats }] as const
    })
    network.graph.initializers.clear()
    for (const [name, { dims }] of inputs)
      network.graph.inputs.push({ name, dtype: 'float32', dims: [...dims] })
    const variables = new Map([...inputs, ['input', normal([2, 3, 4, 4], 4)] as const])
    return checkModel({ model: network, variables }, { step: 2e-3, tolerance: 0.02, second: false })
  })

  test('the original model stays as it was', async () => {
    const original = model((b, x) =>
      b.op('MaxPool', [b.op('Reshape', [x, b.int64s([1, 1, 4])])], { kernel_shape: [2] }),
    )
    const before = JSON.stringify(original.graph.nodes.map(({ outputs }) => outputs))
    await gradient(original)
    expect(JSON.stringify(original.graph.nodes.map(({ outputs }) => outputs))).toBe(before)
  })
})

describe('never a silent zero', () => {
  test('all operators without a rule are named, with node and opset', async () => {
    const unknown = model((b, x) => {
      const det = b.op('Det', [b.op('Reshape', [x, b.int64s([2, 2])])], {}, { name: 'determinant' })
      const sample = b.op('DFT', [b.op('Reshape', [x, b.int64s([1, 4, 1])])], {}, { name: 'spectrum' })
      return b.op('Add', [det, b.op('ReduceSum', [sample])])
    })
    await expect(gradient(unknown)).rejects.toMatchObject({
      code: 'unsupported-model',
      message: 'no gradient rule for Det (opset 18) at "determinant"; DFT (opset 18) at "spectrum"',
    })
  })

  test('operators without a rule do not matter beside the way', async () => {
    const beside = model((b, x) => {
      b.op('Det', [b.op('Reshape', [x, b.int64s([2, 2])])])
      return b.op('Neg', [x])
    })
    expect(await gradient(beside)).toEqual([-1, -1, -1, -1])
  })

  test('a gradient that is zero everywhere is an error that says where it ends', async () => {
    const rounded = model((b, x) => b.op('Round', [x], {}, { name: 'rounding' }))
    await expect(gradient(rounded)).rejects.toMatchObject({
      message: 'the gradient with respect to "x" is zero everywhere',
      hint: 'it ends at Round "rounding": constant between integers',
    })
  })

  test('coverage lists what has no rule, where gradients end, and what is passed straight through', async () => {
    const mixed = model((b, x) => {
      const q = b.op('QuantizeLinear', [x, b.scalar(0.1), b.constant('uint8', [], [128])])
      const d = b.op('DequantizeLinear', [q, b.scalar(0.1), b.constant('uint8', [], [128])])
      const whole = b.op('Cast', [b.op('Cast', [x], { to: 7 })], { to: 1 })
      const sum = b.op('Add', [b.op('Add', [d, whole]), b.op('Floor', [x])])
      return b.op('Add', [sum, b.op('Det', [b.op('Reshape', [x, b.int64s([2, 2])])])])
    })
    const {
      missing,
      stops,
      straightThrough: passed,
    } = await gradientCoverage(mixed, { of: 'y', withRespectTo: ['x'] })
    expect(missing.map(({ opType }) => opType)).toEqual(['Det'])
    expect(stops.map(({ node, reason }) => [node.opType, reason])).toEqual([
      ['Cast', 'its results are not floating-point numbers'],
      ['Floor', 'constant between integers'],
    ])
    expect(passed.map(({ opType }) => opType)).toEqual(['QuantizeLinear'])
  })
})

describe('overrides', () => {
  test('straight through', async () => {
    const rounded = model((b, x) => b.op('Mul', [b.op('Round', [x], {}, { name: 'rounding' }), b.scalar(3)]))
    expect(await gradient(rounded, { overrides: [{ opType: 'Round', gradient: straightThrough }] })).toEqual([
      3, 3, 3, 3,
    ])
    expect(await gradient(rounded, { overrides: [{ node: 'rounding', gradient: straightThrough }] })).toEqual(
      [3, 3, 3, 3],
    )
    await expect(
      gradient(rounded, { overrides: [{ node: 'other', gradient: straightThrough }] }),
    ).rejects.toThrow()
  })

  test('straight through integers, where both casts are named', async () => {
    const truncated = model((b, x) => b.op('Cast', [b.op('Cast', [x], { to: 7 })], { to: 1 }))
    expect(await gradient(truncated, { overrides: [{ opType: 'Cast', gradient: straightThrough }] })).toEqual(
      [1, 1, 1, 1],
    )
  })

  test('what changes the shape cannot count as the identity', async () => {
    const sum = model((b, x) => b.op('ReduceSum', [x]))
    await expect(
      gradient(sum, { overrides: [{ opType: 'ReduceSum', gradient: straightThrough }] }),
    ).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('changes the shape') })
  })

  test('a smooth ReLU', async () => {
    const relu = model((b, x) => b.op('Relu', [x]))
    const smooth = await gradient(relu, { overrides: [{ opType: 'Relu', gradient: smoothRelu(2) }] })
    for (const [i, x] of X.entries()) expect(smooth[i]).toBeCloseTo(1 / (1 + Math.exp(-2 * x)), 5)
  })

  test('a formula of dy, x and y', async () => {
    const graph = emptyGraph('formula')
    for (const name of ['dy', 'x', 'y']) graph.inputs.push({ name, dtype: 'float32', dims: null })
    const b = new GraphBuilder(graph)
    const dx = b.op('Mul', ['dy', b.op('Add', [b.op('Mul', ['x', b.scalar(10)]), 'y'])])
    graph.outputs.push({ name: dx, dtype: 'float32', dims: null })
    const negative = model((builder, x) => builder.op('Neg', [x]))
    const computed = await gradient(negative, { overrides: [{ opType: 'Neg', gradient: formula(graph) }] })
    for (const [i, x] of X.entries()) expect(computed[i]).toBeCloseTo(9 * x, 4)
  })
})

describe('quantisation', () => {
  test('passes straight through, and is zero where it saturates', async () => {
    const quantised = model((b, x) => {
      const [scale, zero] = [b.scalar(0.01), b.constant('uint8', [], [128])]
      return b.op('DequantizeLinear', [b.op('QuantizeLinear', [x, scale, zero]), scale, zero])
    })
    // 0.01 (0 - 128) = -1.28 and 0.01 (255 - 128) = 1.27 are the ends of the range.
    expect(await gradient(quantised)).toEqual([0, 1, 1, 0])
  })
})

test('every rule is keyed by one operator, and gives a rule or a reason', () => {
  for (const [operator, entry] of RULES) {
    expect(operator).toMatch(/^[A-Z]\w+$/)
    if ('reason' in entry) expect(entry.reason.length).toBeGreaterThan(3)
  }
  expect(RULES.size).toBeGreaterThan(130)
})

test('a max pool moves in front of the Relu it follows, and nothing changes', async () => {
  const pooled = model((b, x) => {
    const image = b.op('Reshape', [x, b.int64s([1, 1, 4])])
    return b.op('MaxPool', [b.op('Relu', [image])], { kernel_shape: [2], strides: [2] })
  })
  const moved = { ...pooled, graph: poolBeforeRelu(pooled.graph) }
  expect(moved.graph.nodes.map(({ opType }) => opType)).toEqual(['Reshape', 'MaxPool', 'Relu', 'Identity'])
  expect(await gradient(moved)).toEqual(await gradient(pooled))
  expect(await gradient(moved)).toEqual([0, 0, 0, 1])
})
