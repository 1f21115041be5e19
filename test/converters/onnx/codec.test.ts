import { create, fromBinary, toBinary, toJson } from '@bufbuild/protobuf'
import fc from 'fast-check'
import onnxProto from 'onnx-proto'
import { describe, expect, it } from 'vitest'
import { decodeModel, encodeModel } from '../../../converters/onnx/codec.ts'
import { Attributes, emptyGraph, type Model, modelOf } from '../../../converters/onnx/graph.ts'
import { ModelProtoSchema } from '../../../converters/onnx/schema/onnx_pb.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { anyModel } from './arbitrary-model.ts'

describe('codec', () => {
  it.each([
    ['IR version 8, by onnx-proto', false],
    ['newer IR versions, by the generated schema', true],
  ])('gives back any model of %s', (_, newer) => {
    fc.assert(
      fc.property(anyModel(newer), (model) => {
        expect(comparable(decodeModel(encodeModel(model)))).toEqual(comparable(model))
      }),
      { numRuns: 150 },
    )
  })

  it('reads what onnx-proto reads', () => {
    fc.assert(
      fc.property(anyModel(false), (model) => {
        const bytes = encodeModel(model)
        const theirs = onnxProto.onnx.ModelProto.encode(onnxProto.onnx.ModelProto.decode(bytes)).finish()
        const json = (encoded: Uint8Array) => toJson(ModelProtoSchema, fromBinary(ModelProtoSchema, encoded))
        expect(json(theirs)).toEqual(json(bytes))
      }),
      { numRuns: 100 },
    )
  })

  it('keeps integers exact beyond 2^53', () => {
    const value = 9007199254740993n
    const graph = emptyGraph('exact')
    graph.nodes.push({
      name: 'n',
      opType: 'Constant',
      domain: '',
      inputs: [],
      outputs: ['y'],
      attributes: new Map([['value_int', { type: 'int', value: -value }]]),
    })
    graph.initializers.set('w', Tensor.int64([1], [value]))
    const read = decodeModel(encodeModel(modelOf(graph))).graph
    expect(read.nodes[0]!.attributes.get('value_int')).toEqual({ type: 'int', value: -value })
    expect(read.initializers.get('w')!.elements).toEqual(BigInt64Array.of(value))
  })

  it('copies no weights: tensors are views of the file', () => {
    const graph = emptyGraph('views')
    graph.initializers.set('w', Tensor.float32([3], [1, 2, 3]))
    const bytes = encodeModel(modelOf(graph))
    const tensor = decodeModel(bytes).graph.initializers.get('w')!
    expect(tensor.bytes.buffer).toBe(bytes.buffer)
    // Wherever in the file they lie: typed arrays need alignment, and a Buffer's slice is no copy.
    for (let shift = 0; shift < 8; shift++) {
      const shifted = Buffer.alloc(bytes.length + shift)
      shifted.set(bytes, shift)
      expect(decodeModel(shifted.subarray(shift)).graph.initializers.get('w')!.numbers).toEqual([1, 2, 3])
    }
  })

  it.each([
    ['float32', { dataType: 1, floatData: [1.5, -2] }, [1.5, -2]],
    ['int8, widened', { dataType: 3, int32Data: [-1, 127] }, [-1, 127]],
    ['float16, as bits', { dataType: 10, int32Data: [0x3c00, 0xc000] }, [0x3c00, 0xc000]],
    ['int64', { dataType: 7, int64Data: [-5n, 2n ** 40n] }, [-5, 2 ** 40]],
    ['uint32', { dataType: 12, uint64Data: [4294967295n, 0n] }, [4294967295, 0]],
    ['float64', { dataType: 11, doubleData: [0.1, 1e300] }, [0.1, 1e300]],
    ['bool', { dataType: 9, int32Data: [1, 0] }, [1, 0]],
  ])('reads %s from typed fields and writes raw data', (_, fields, values) => {
    const message = { irVersion: 8n, graph: { initializer: [{ name: 'w', dims: [2n], ...fields }] } }
    const model = decodeModel(toBinary(ModelProtoSchema, create(ModelProtoSchema, message)))
    expect(model.graph.initializers.get('w')!.numbers).toEqual(values)
    const written = fromBinary(ModelProtoSchema, encodeModel(model)).graph!.initializer[0]!
    expect(written.rawData.length).toBeGreaterThan(0)
    expect([written.floatData, written.int32Data, written.int64Data]).toEqual([[], [], []])
  })

  it.each([
    ['flat indices', [2n], [1n, 3n]],
    ['coordinates', [2n, 2n], [0n, 1n, 1n, 1n]],
  ])('makes sparse tensors dense, from %s', (_, dims, indices) => {
    const sparse = {
      dims: [2n, 2n],
      values: { name: 'w', dims: [2n], dataType: 1, floatData: [5, 7] },
      indices: { dims, dataType: 7, int64Data: indices },
    }
    const message = { irVersion: 8n, graph: { sparseInitializer: [sparse] } }
    const model = decodeModel(toBinary(ModelProtoSchema, create(ModelProtoSchema, message)))
    expect(model.graph.initializers.get('w')!.numbers).toEqual([0, 5, 0, 7])
  })

  it('says what it leaves behind', () => {
    const message = {
      irVersion: 10n,
      graph: {
        docString: 'about',
        node: [
          {
            opType: 'Relu',
            docString: 'where it came from',
            deviceConfigurations: [{ configurationId: 'a' }],
          },
        ],
        quantizationAnnotation: [{ tensorName: 'x' }],
      },
    }
    expect(decodeModel(toBinary(ModelProtoSchema, create(ModelProtoSchema, message))).omitted).toEqual([
      'GraphProto.docString',
      'GraphProto.quantizationAnnotation',
      'NodeProto.deviceConfigurations',
      'NodeProto.docString',
    ])
    expect(decodeModel(encodeModel(modelOf(emptyGraph('all carried')))).omitted).toBeUndefined()
  })

  it('reads ai.onnx as the standard domain', () => {
    const message = {
      irVersion: 8n,
      opsetImport: [{ domain: 'ai.onnx', version: 13n }],
      graph: { node: [{ opType: 'Relu', domain: 'ai.onnx', attribute: [{ name: 'k', i: 3n }] }] },
    }
    const { opsets, graph } = decodeModel(toBinary(ModelProtoSchema, create(ModelProtoSchema, message)))
    expect(opsets).toEqual(new Map([['', 13]]))
    expect(graph.nodes[0]!.domain).toBe('')
    // IR version 1 left out the types of attributes.
    expect(new Attributes(graph.nodes[0]!).int('k', 0)).toBe(3)
  })
})

/** A model in plain values, so that tensors compare by content wherever their bytes lie. */
function comparable(value: unknown): unknown {
  if (value instanceof Tensor)
    return { dtype: value.dtype, dims: value.dims, bytes: Array.from(value.bytes), strings: value.strings }
  if (value instanceof Map) return [...value].map(comparable)
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value as Model).map(([key, item]) => [key, comparable(item)]))
}
