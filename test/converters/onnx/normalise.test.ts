import { describe, expect, it } from 'vitest'
import { type AttributeValues, float, GraphBuilder, makeNode } from '../../../converters/onnx/builder.ts'
import {
  type Attribute,
  Attributes,
  emptyGraph,
  type FunctionDefinition,
  type Graph,
  type Model,
  modelOf,
  type Node,
} from '../../../converters/onnx/graph.ts'
import { normalise } from '../../../converters/onnx/normalise.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'

const graphOf = (nodes: Node[], output = 'y'): Graph => ({
  ...emptyGraph('g'),
  inputs: [{ name: 'x', dtype: 'float32', dims: [3] }],
  outputs: [{ name: output, dtype: 'float32', dims: [3] }],
  nodes,
})

const define = (name: string, nodes: Node[], more: Partial<FunctionDefinition> = {}): FunctionDefinition => ({
  name,
  domain: 'local',
  overload: '',
  inputs: ['a'],
  outputs: ['b'],
  attributes: [],
  defaults: new Map(),
  nodes,
  opsets: new Map([
    ['', 18],
    ['local', 1],
  ]),
  ...more,
})

const call = (name: string, input: string, output: string, attributes: AttributeValues = {}): Node =>
  makeNode(name, [input], [output], attributes, `${name} of ${input}`, 'local')

const withReference = (node: Node, attribute: string, to: string, of: 'float' | 'int'): Node => ({
  ...node,
  attributes: new Map<string, Attribute>([
    ...node.attributes,
    [attribute, { type: 'reference', value: to, of }],
  ]),
})

const withFunctions = (graph: Graph, functions: FunctionDefinition[]): Model => ({
  ...modelOf(graph),
  opsets: new Map([
    ['', 18],
    ['local', 1],
  ]),
  functions,
})

async function run(model: Model, x = [-1, 0.5, 2]): Promise<readonly number[]> {
  const session = await openSession(model, { threads: 1 })
  const { y } = await session.run({ x: Tensor.float32([3], x) })
  await session.release()
  return y!.numbers
}

describe('functions', () => {
  it('are inlined, each call with its own inner values and attributes', async () => {
    const leaky = define(
      'leaky',
      [
        withReference(makeNode('LeakyRelu', ['a'], ['inner']), 'alpha', 'slope', 'float'),
        makeNode('Neg', ['inner'], ['b']),
      ],
      { attributes: ['slope'] },
    )
    const twice = define('twice', [
      call('leaky', 'a', 'inner', { slope: float(0.5) }),
      call('leaky', 'inner', 'b'),
    ])
    const model = withFunctions(
      graphOf([call('twice', 'x', 'p'), call('leaky', 'p', 'y', { slope: float(4) })]),
      [twice, leaky],
    )
    const normalised = normalise(model)
    expect(normalised.functions).toEqual([])
    expect(normalised.opsets).toEqual(new Map([['', 18]]))
    expect(normalised.graph.nodes.map((node) => node.opType)).toEqual(
      Array(3).fill(['LeakyRelu', 'Neg']).flat(),
    )
    expect(await run(normalised)).toEqual(await run(model))
  })

  it('get the defaults of their attributes', () => {
    const body = [withReference(makeNode('Softmax', ['a'], ['b']), 'axis', 'along', 'int')]
    const defaults = new Map<string, Attribute>([['along', { type: 'int', value: 0n }]])
    const model = withFunctions(graphOf([call('soft', 'x', 'y')]), [define('soft', body, { defaults })])
    expect(new Attributes(normalise(model).graph.nodes[0]!).int('axis', -1)).toBe(0)
  })

  it('may hand an input through, leave optional inputs out, and be of an older opset', async () => {
    const clip = define('clip', [makeNode('Clip', ['a'], ['b'], { max: float(1) })], {
      inputs: ['a', 'unused'],
      outputs: ['b', 'a'],
      opsets: new Map([['', 10]]),
    })
    const node: Node = { ...call('clip', 'x', 'c'), outputs: ['c', 'same'] }
    const model = withFunctions(graphOf([node, makeNode('Add', ['c', 'same'], ['y'])]), [clip])
    expect(await run(normalise(model))).toEqual([-2, 1, 3])
  })

  it('are found in the branches of an If, and bring their own', async () => {
    const inner = emptyGraph('then')
    inner.outputs.push({ name: 'v', dtype: 'float32', dims: null })
    inner.nodes.push(call('negate', 'x', 'v'))
    const other = emptyGraph('else')
    other.outputs.push({ name: 'v', dtype: 'float32', dims: null })
    other.nodes.push(makeNode('Abs', ['x'], ['v']))
    const graph = graphOf([])
    const b = new GraphBuilder(graph)
    const condition = b.initializer(Tensor.of('bool', [], Uint8Array.of(1)))
    b.op('If', [condition], { then_branch: inner, else_branch: other }, { outputs: ['y'] })
    const model = withFunctions(graph, [define('negate', [makeNode('Neg', ['a'], ['b'])])])
    const normalised = normalise(model)
    const names = ['then_branch', 'else_branch'].flatMap((name) =>
      new Attributes(normalised.graph.nodes[0]!).graph(name)!.nodes.flatMap((node) => node.outputs),
    )
    expect(new Set(names).size).toBe(2)
    expect(await run(normalised)).toEqual([1, -0.5, -2])
  })
})

describe('constants', () => {
  it.each<[string, AttributeValues, number[]]>([
    ['value', { value: Tensor.float32([1], [2]) }, [2]],
    ['value_float', { value_float: float(0.5) }, [0.5]],
    ['value_floats', { value_floats: float([1, 2, 3]) }, [1, 2, 3]],
  ])('given as %s become initialisers', async (_, attributes, values) => {
    const model = modelOf(
      graphOf([makeNode('Constant', [], ['c'], attributes), makeNode('Mul', ['x', 'c'], ['y'])]),
    )
    const normalised = normalise(model)
    expect(normalised.graph.nodes.map((node) => node.opType)).toEqual(['Mul'])
    expect(normalised.graph.initializers.get('c')!.numbers).toEqual(values)
    expect(await run(normalised)).toEqual(await run(model))
  })

  it('of integers stay exact', () => {
    const value = 2n ** 62n + 1n
    const node = makeNode('Constant', [], ['c'], { value_int: value })
    const { graph } = normalise(modelOf(graphOf([node, makeNode('Cast', ['c'], ['y'], { to: 1 })])))
    expect(graph.initializers.get('c')!.elements).toEqual(BigInt64Array.of(value))
  })

  it('are no inputs, although old files list them as such', () => {
    const graph = graphOf([makeNode('Add', ['x', 'w'], ['y'])])
    graph.inputs.push({ name: 'w', dtype: 'float32', dims: [3] })
    graph.initializers.set('w', Tensor.float32([3], [1, 2, 3]))
    expect(normalise({ ...modelOf(graph), irVersion: 3 })).toMatchObject({
      irVersion: 8,
      graph: { inputs: [{ name: 'x' }] },
    })
  })
})

describe('graphs', () => {
  it('are put in order, and what no output needs goes', async () => {
    const nodes = [
      makeNode('Neg', ['p'], ['y']),
      makeNode('Exp', ['x'], ['unused']),
      makeNode('Abs', ['x'], ['p']),
    ]
    const normalised = normalise(modelOf(graphOf(nodes)))
    expect(normalised.graph.nodes.map((node) => node.opType)).toEqual(['Abs', 'Neg'])
    expect(await run(normalised)).toEqual([-1, -0.5, -2])
  })

  it('of ten thousand nodes in a row, given backwards, are put in order as well', () => {
    const nodes = Array.from({ length: 10_000 }, (_, i) =>
      makeNode('Neg', [i === 0 ? 'x' : `v${i}`], [i === 9999 ? 'y' : `v${i + 1}`]),
    )
    expect(
      normalise(modelOf(graphOf(nodes.toReversed()))).graph.nodes.map((node) => node.outputs[0]),
    ).toEqual(nodes.map((node) => node.outputs[0]))
  })

  it('get names for their nodes, each its own', () => {
    const nodes = [
      makeNode('Neg', ['x'], ['p'], {}, 'same'),
      makeNode('Neg', ['p'], ['q'], {}, 'same'),
      makeNode('Neg', ['q'], ['y'], {}, ''),
    ]
    expect(normalise(modelOf(graphOf(nodes))).graph.nodes.map((node) => node.name)).toEqual([
      'same',
      'same_1',
      'y',
    ])
  })

  it('are not changed themselves', () => {
    const graph = graphOf([
      makeNode('Constant', [], ['c'], { value_float: float(1) }),
      makeNode('Mul', ['x', 'c'], ['y']),
    ])
    const before = structuredClone(graph.nodes.map((node) => node.opType))
    normalise({ ...modelOf(graph), opsets: new Map([['', 10]]) })
    expect(graph.nodes.map((node) => node.opType)).toEqual(before)
    expect(graph.initializers.size).toBe(0)
  })
})
