import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GraphBuilder } from '../../../converters/onnx/builder.ts'
import { decodeModel, encodeModel } from '../../../converters/onnx/codec.ts'
import { emptyGraph, type Graph, type Model, modelOf } from '../../../converters/onnx/graph.ts'
import { normalise } from '../../../converters/onnx/normalise.ts'
import { ModelProtoSchema } from '../../../converters/onnx/schema/onnx_pb.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../manifests/error.ts'
import { full } from '../../data.ts'

/** A length-delimited field as it lies in a file. */
function field(number: number, content: Uint8Array): Uint8Array {
  const head: number[] = []
  for (const value of [number * 8 + 2, content.length]) {
    let rest = value
    while (rest > 127) {
      head.push((rest & 127) | 128)
      rest >>>= 7
    }
    head.push(rest)
  }
  return Buffer.concat([Buffer.from(head), content])
}

const GRAPH = 7
const model = (graph: Uint8Array): Uint8Array => Buffer.concat([Buffer.from([8, 8]), field(GRAPH, graph)])
const message = (graph: object): Uint8Array =>
  toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, graph }))

/** If within If within If. */
function nested(depth: number): Uint8Array {
  let graph: Uint8Array = new Uint8Array()
  for (let i = 0; i < depth; i++) graph = field(1, field(5, field(6, graph)))
  return model(graph)
}

describe('a file that is no model', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(), /empty/],
    ['a web page', Buffer.from('\n<!DOCTYPE html><html>'), /web page/],
    [
      'a Git LFS pointer',
      Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0'),
      /LFS pointer/,
    ],
    ['JSON', Buffer.from('{"format": "layers-model"}'), /JSON/],
    ['a PyTorch archive', Buffer.from('PK\x03\x04archive/data.pkl'), /zip archive/],
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0]), /gzip/],
    ['text', Buffer.from('hello, world'), /not a whole ONNX model/],
    ['zeros', new Uint8Array(1000), /not a whole ONNX model/],
    ['a version and no graph', Buffer.from([8, 8]), /no graph/],
    ['a field that goes on beyond the end', Buffer.from([8, 8, 58, 200, 1, 0]), /not a whole/],
    ['an unknown field', Buffer.concat([message({}), field(99, Buffer.from('x'))]), /field 99/],
    [
      'an unknown field further in',
      message({ node: [] }).length > 0 ? model(field(77, Buffer.from('x'))) : new Uint8Array(),
      /GraphProto has a field 77/,
    ],
    ['graphs within graphs', nested(5000), /deep|depth/],
    ['five million empty nodes', model(Buffer.alloc(1e7).map((_, i) => (i % 2 ? 0 : 0x0a))), /more memory/],
    ['fifty million small integers', model(field(5, field(7, Buffer.alloc(5e7, 1)))), /more memory/],
    [
      'a tensor of vast dimensions',
      message({ initializer: [{ name: 'w', dims: [1n << 40n, 1n << 40n], dataType: 1 }] }),
      /takes/,
    ],
    [
      'dimensions whose product overflows',
      message({ initializer: [{ name: 'w', dims: Array(80).fill(1n << 62n), dataType: 1 }] }),
      /cannot be|takes/,
    ],
    [
      'negative dimensions',
      message({ initializer: [{ name: 'w', dims: [-1n, -1n], dataType: 1, rawData: Buffer.alloc(4) }] }),
      /cannot be/,
    ],
    [
      'too few bytes',
      message({ initializer: [{ name: 'w', dims: [2n], dataType: 1, rawData: Buffer.alloc(7) }] }),
      /takes 8 bytes, not 7/,
    ],
    [
      'an initialiser twice',
      message({ initializer: [1, 2].map(() => ({ name: 'w', dims: [0n], dataType: 1 })) }),
      /two initialisers/,
    ],
    ['a node without operator', message({ node: [{ output: ['y'] }] }), /no operator/],
    [
      'an attribute twice',
      message({ node: [{ opType: 'A', attribute: [1, 2].map(() => ({ name: 'k', i: 1n, type: 2 })) }] }),
      /two attributes/,
    ],
    ['a name that is not UTF-8', model(field(1, field(4, Buffer.from([0xc3, 0x28])))), /UTF-8/],
  ])('is refused: %s', (_, bytes, why) => {
    expect(() => decodeModel(bytes)).toThrowError(
      expect.objectContaining({ code: 'invalid-model', message: expect.stringMatching(why) }),
    )
  })

  it.each<[string, Uint8Array, RegExp]>([
    [
      'an element type from the future',
      message({ initializer: [{ name: 'w', dims: [], dataType: 99 }] }),
      /element type 99/,
    ],
    [
      'a sparse tensor that would fill the memory',
      message({
        sparseInitializer: [
          {
            dims: [1n << 33n],
            values: { name: 'w', dims: [0n], dataType: 1 },
            indices: { dims: [0n], dataType: 7 },
          },
        ],
      }),
      /dense/,
    ],
    [
      'segments',
      message({ initializer: [{ name: 'w', dims: [0n], dataType: 1, segment: { begin: 0n } }] }),
      /segments/,
    ],
    [
      'attributes of a kind without form',
      message({ node: [{ opType: 'A', attribute: [{ name: 'k', type: 14 }] }] }),
      /TYPE_PROTOS/,
    ],
  ])('is beyond us: %s', (_, bytes, why) => {
    expect(() => decodeModel(bytes)).toThrowError(
      expect.objectContaining({ code: 'unsupported-model', message: expect.stringMatching(why) }),
    )
  })
})

/** A small model of many kinds of parts. */
function whole(): Model {
  const graph = emptyGraph('whole')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: ['N', 3, 8, 8] })
  graph.outputs.push({ name: 'y', dtype: 'float32', dims: ['N', 4] })
  const b = new GraphBuilder(graph)
  const kernel = b.floats([4, 3, 3, 3], new Float32Array(108).fill(0.1), 'kernel')
  const conv = b.op('Conv', ['x', kernel], { pads: [1, 1, 1, 1] })
  const branch = emptyGraph('branch')
  branch.outputs.push({ name: 'branch:y', dtype: 'float32', dims: null })
  new GraphBuilder(branch).op('Relu', [conv], {}, { outputs: ['branch:y'] })
  const condition = b.initializer(Tensor.of('bool', [], Uint8Array.of(1)))
  const chosen = b.op('If', [condition], { then_branch: branch, else_branch: branch })
  b.op('Flatten', [b.op('GlobalAveragePool', [chosen])], { axis: 1 }, { outputs: ['y'] })
  return modelOf(graph)
}

/** Reads and normalises, or refuses with an error of ours; anything else fails the test. */
function survives(bytes: Uint8Array): void {
  try {
    normalise(decodeModel(bytes))
  } catch (error) {
    if (!(error instanceof ZooError)) throw error
    expect(['invalid-model', 'unsupported-model']).toContain(error.code)
  }
}

describe('a damaged model', () => {
  const bytes = encodeModel(whole())

  it('is refused wherever it is cut short, or is a whole model all the same', () => {
    for (let length = 0; length < bytes.length; length++) survives(bytes.subarray(0, length))
  })

  it('is refused or read, never more, with any bit flipped', () => {
    for (let bit = 0; bit < bytes.length * 8; bit += full ? 1 : 5) {
      const flipped = Uint8Array.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      survives(flipped)
    }
  })

  it('is refused or read, never more, with any bytes at any place', () => {
    fc.assert(
      fc.property(
        fc.nat(bytes.length),
        fc.uint8Array({ maxLength: 20 }),
        fc.nat(20),
        (at, inserted, removed) => {
          survives(Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]))
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('is refused or read, never more, when it is nothing but noise', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), survives), { numRuns: 2000 })
  })
})

describe('a graph that makes no sense', () => {
  const relu = (name: string, input: string, output: string) => ({
    name,
    opType: 'Relu',
    domain: '',
    inputs: [input],
    outputs: [output],
    attributes: new Map(),
  })
  const graphOf = (nodes: Graph['nodes']): Model => {
    const graph = emptyGraph('g')
    graph.inputs.push({ name: 'x', dtype: 'float32', dims: [1] })
    graph.outputs.push({ name: 'y', dtype: 'float32', dims: [1] })
    return modelOf({ ...graph, nodes })
  }

  it.each<[string, Model, RegExp]>([
    ['reads what nothing gives', graphOf([relu('a', 'z', 'y')]), /reads "z"/],
    ['gives no output', graphOf([relu('a', 'x', 'z')]), /nothing gives the output "y"/],
    ['waits for itself', graphOf([relu('a', 'y', 'y')]), /waits for its own result/],
    [
      'runs in a circle',
      graphOf([relu('a', 'q', 'p'), relu('b', 'p', 'q'), relu('c', 'q', 'y')]),
      /waits for its own/,
    ],
    [
      'gives one value twice',
      graphOf([relu('a', 'x', 'y'), relu('b', 'x', 'y')]),
      /two values are named "y"/,
    ],
  ])('is refused: it %s', (_, nonsense, why) => {
    expect(() => normalise(nonsense)).toThrowError(
      expect.objectContaining({ code: 'invalid-model', message: expect.stringMatching(why) }),
    )
  })

  it('is refused when its functions call themselves or stand for billions of nodes', () => {
    const call = (name: string, input: string, output: string) => ({
      ...relu(name, input, output),
      opType: name,
      domain: 'f',
    })
    const define = (name: string, nodes: Graph['nodes']) => ({
      name,
      domain: 'f',
      overload: '',
      inputs: ['x'],
      outputs: ['y'],
      attributes: [],
      defaults: new Map(),
      nodes,
      opsets: new Map([['', 18]]),
    })
    const caller = (name: string): Model => ({ ...graphOf([call(name, 'x', 'y')]), irVersion: 8 })
    const itself = { ...caller('a'), functions: [define('a', [call('a', 'x', 'y')])] }
    expect(() => normalise(itself)).toThrowError(expect.objectContaining({ code: 'invalid-model' }))

    const levels = Array.from({ length: 12 }, (_, level) =>
      define(
        `f${level}`,
        Array.from({ length: 10 }, (_, i) => {
          const [input, output] = [i === 0 ? 'x' : `v${i}`, i === 9 ? 'y' : `v${i + 1}`]
          return level === 0 ? relu('r', input, output) : call(`f${level - 1}`, input, output)
        }),
      ),
    )
    const laughs = { ...caller('f11'), functions: levels }
    expect(() => normalise(laughs)).toThrowError(
      expect.objectContaining({ code: 'invalid-model', message: expect.stringMatching(/nodes/) }),
    )
  })
})
