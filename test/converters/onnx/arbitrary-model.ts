import fc from 'fast-check'
import type {
  Attribute,
  FunctionDefinition,
  Graph,
  Model,
  Node,
  ValueInfo,
} from '../../../converters/onnx/graph.ts'
import { byteLength, type DataType, Tensor } from '../../../converters/onnx/tensor.ts'

/** Element types that IR version 8 has, and all. */
const OLD: readonly DataType[] = [
  'float32',
  'uint8',
  'int16',
  'int64',
  'bool',
  'float16',
  'float64',
  'uint64',
  'bfloat16',
]
const ALL: readonly DataType[] = [...OLD, 'float8e4m3fn', 'uint4', 'int4', 'float4e2m1', 'float8e8m0', 'int2']

/** The replacement character stands for damaged text in names, and is refused there. */
const text = fc.string({ maxLength: 6, unit: 'grapheme' }).filter((value) => !value.includes('\ufffd'))
const name = text.filter((value) => value !== '')
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const float = fc.float({ noNaN: true })
const dims = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 })
const entries = (values: fc.Arbitrary<string>) =>
  fc
    .dictionary(name, values, { maxKeys: 2, noNullPrototype: true })
    .map((record) => new Map(Object.entries(record)))

const tensor = (types: readonly DataType[]): fc.Arbitrary<Tensor> =>
  fc.oneof(
    fc.tuple(fc.constantFrom(...types), dims).chain(([dtype, shape]) => {
      const length = byteLength(dtype, shape)
      return fc
        .uint8Array({ minLength: length, maxLength: length })
        .map((bytes) => new Tensor(dtype, shape, bytes))
    }),
    fc
      .array(fc.string(), { maxLength: 3 })
      .map((strings) => new Tensor('string', [strings.length], new Uint8Array(), strings)),
  )

const valueInfo: fc.Arbitrary<ValueInfo> = fc.record({
  name,
  dtype: fc.constantFrom(...OLD),
  dims: fc.option(fc.array(fc.oneof(fc.nat(), name, fc.constant(null)), { maxLength: 4 })),
})

function attribute(types: readonly DataType[], depth: number): fc.Arbitrary<Attribute> {
  const simple: fc.Arbitrary<Attribute>[] = [
    float.map((value) => ({ type: 'float', value })),
    int64.map((value) => ({ type: 'int', value })),
    fc.string().map((value) => ({ type: 'string', value })),
    tensor(types).map((value) => ({ type: 'tensor', value })),
    fc.array(float).map((value) => ({ type: 'floats', value })),
    fc.array(int64).map((value) => ({ type: 'ints', value })),
    fc.array(fc.string()).map((value) => ({ type: 'strings', value })),
    fc.array(tensor(types), { maxLength: 2 }).map((value) => ({ type: 'tensors', value })),
    name.map((value) => ({ type: 'reference', value, of: 'ints' })),
  ]
  const nested: fc.Arbitrary<Attribute>[] =
    depth === 0 ? [] : [graph(types, depth - 1).map((value) => ({ type: 'graph', value }))]
  return fc.oneof(...simple, ...nested)
}

const attributes = (types: readonly DataType[], depth: number) =>
  fc.array(fc.tuple(name, attribute(types, depth)), { maxLength: 3 }).map((list) => new Map(list))

const node = (types: readonly DataType[], depth: number, newer: boolean): fc.Arbitrary<Node> =>
  fc.record(
    {
      name: fc.string(),
      opType: name,
      domain: fc.constantFrom('', 'custom'),
      inputs: fc.array(text, { maxLength: 3 }),
      outputs: fc.array(text, { maxLength: 3 }),
      attributes: attributes(types, depth),
      ...(newer && { overload: name, metadata: entries(fc.string()).filter((map) => map.size > 0) }),
    },
    { requiredKeys: ['name', 'opType', 'domain', 'inputs', 'outputs', 'attributes'] },
  ) as fc.Arbitrary<Node>

function graph(types: readonly DataType[], depth: number, newer = false): fc.Arbitrary<Graph> {
  return fc.record({
    name: fc.string(),
    inputs: fc.array(valueInfo, { maxLength: 2 }),
    outputs: fc.array(valueInfo, { maxLength: 2 }),
    nodes: fc.array(node(types, depth, newer), { maxLength: 3 }),
    initializers: fc.array(fc.tuple(name, tensor(types)), { maxLength: 2 }).map((list) => new Map(list)),
    valueInfo: fc
      .array(valueInfo, { maxLength: 2 })
      .map((list) => new Map(list.map((value) => [value.name, value]))),
  })
}

const functionDefinition = (newer: boolean): fc.Arbitrary<FunctionDefinition> =>
  fc.record({
    name,
    domain: name,
    overload: newer ? fc.string() : fc.constant(''),
    inputs: fc.array(name, { maxLength: 2 }),
    outputs: fc.array(name, { maxLength: 2 }),
    attributes: fc.array(name, { maxLength: 2 }),
    defaults: newer ? attributes(OLD, 0) : fc.constant(new Map()),
    nodes: fc.array(node(OLD, 0, newer), { maxLength: 2 }),
    opsets: fc.constant(new Map([['', 18]])),
  })

/** Any model that the form in memory can hold: with what only newer files have, or without. */
export const anyModel = (newer: boolean): fc.Arbitrary<Model> =>
  fc.record(
    {
      irVersion: newer ? fc.integer({ min: 9, max: 14 }) : fc.integer({ min: 3, max: 8 }),
      opsets: fc.constant(
        new Map([
          ['', 18],
          ['custom', 1],
        ]),
      ),
      producer: fc.string(),
      producerVersion: name,
      domain: name,
      modelVersion: int64.filter((value) => value !== 0n),
      description: name,
      metadata: entries(fc.string()),
      graph: graph(newer ? ALL : OLD, 2, newer),
      functions: fc.array(functionDefinition(newer), { maxLength: 2 }),
    },
    { requiredKeys: ['irVersion', 'opsets', 'producer', 'metadata', 'graph', 'functions'] },
  ) as fc.Arbitrary<Model>
