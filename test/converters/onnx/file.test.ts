import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeModel } from '../../../converters/onnx/codec.ts'
import { readModel, writeModel } from '../../../converters/onnx/file.ts'
import { emptyGraph, type Model, modelOf } from '../../../converters/onnx/graph.ts'
import { ModelProtoSchema, TensorProto_DataLocation } from '../../../converters/onnx/schema/onnx_pb.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-test-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const weights = (first: number): Float32Array => Float32Array.from({ length: 5000 }, (_, i) => first + i)

function modelWith(tensors: Record<string, Tensor>): Model {
  const graph = emptyGraph('weights')
  for (const [name, tensor] of Object.entries(tensors)) graph.initializers.set(name, tensor)
  return modelOf(graph)
}

/** A model of one tensor of 16 bytes whose data the file says to be elsewhere. */
function pointingAt(entries: Record<string, string>): string {
  const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }))
  const tensor = {
    name: 'w',
    dims: [4n],
    dataType: 1,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData,
  }
  const message = create(ModelProtoSchema, { irVersion: 8n, graph: { initializer: [tensor] } })
  const path = join(folder, 'models', 'model.onnx')
  mkdirSync(join(folder, 'models'), { recursive: true })
  writeFileSync(path, toBinary(ModelProtoSchema, message))
  return path
}

describe('writeModel and readModel', () => {
  it('keep a small model in one file', async () => {
    const path = join(folder, 'small.onnx')
    await writeModel(modelWith({ w: Tensor.float32([5000], weights(0)) }), path)
    expect(readdirSync(folder)).toEqual(['small.onnx'])
    expect((await readModel(path)).graph.initializers.get('w')!.elements).toEqual(weights(0))
  })

  it('put the weights of a large one into a second file, shared ones once, small ones not', async () => {
    const shared = Tensor.float32([5000], weights(0))
    const model = modelWith({
      a: shared,
      small: Tensor.float32([1], [7]),
      b: Tensor.float32([5000], weights(9)),
      c: shared,
    })
    const path = join(folder, 'large.onnx')
    await writeModel(model, path, { externalAbove: 0 })
    expect(readdirSync(folder).sort()).toEqual(['large.onnx', 'large.onnx.data'])
    expect(statSync(path).size).toBeLessThan(1000)
    expect(statSync(`${path}.data`).size).toBeLessThan(50_000)
    const { initializers } = (await readModel(path)).graph
    expect(initializers.get('a')!.file?.offset).toBe(initializers.get('c')!.file?.offset)
    expect(initializers.get('b')!.file!.offset % 4096).toBe(0)
    expect(initializers.get('b')!.elements).toEqual(weights(9))
    expect(initializers.get('c')!.elements).toEqual(weights(0))
    expect(initializers.get('small')!.file).toBeUndefined()
  })

  it('copy external data from file to file, over the file that it comes from as well', async () => {
    const path = join(folder, 'model.onnx')
    const a = Tensor.float32([5000], weights(0))
    await writeModel(modelWith({ a, b: Tensor.float32([5000], weights(9)) }), path, { externalAbove: 0 })
    const model = await readModel(path)
    model.graph.initializers.delete('a')
    const b = model.graph.initializers.get('b')!
    await writeModel(model, path, { externalAbove: 0 })
    expect((await readModel(path)).graph.initializers.get('b')!.elements).toEqual(weights(9))
    expect(statSync(`${path}.data`).size).toBe(20_000)
    // The tensor that was read before now lies elsewhere: never silently another's bytes.
    expect(() => b.bytes).toThrowError(expect.objectContaining({ code: 'conflict' }))
  })

  it('leave the older model when the disk fails', async () => {
    const path = join(folder, 'model.onnx')
    await writeModel(modelWith({ a: Tensor.float32([5000], weights(0)) }), path, { externalAbove: 0 })
    const model = await readModel(path)
    rmSync(`${path}.data`)
    const before = readFileSync(path)
    await expect(writeModel(model, path, { externalAbove: 0 })).rejects.toThrow()
    expect(readFileSync(path)).toEqual(before)
    expect(readdirSync(folder)).toEqual(['model.onnx'])
  })

  it('name what is no file', async () => {
    await expect(readModel(join(folder, 'absent.onnx'))).rejects.toMatchObject({ code: 'not-found' })
    await expect(readModel(folder)).rejects.toMatchObject({
      code: 'invalid-model',
      message: expect.stringMatching(/is a folder/),
    })
    writeFileSync(join(folder, 'page.onnx'), '<!doctype html>')
    await expect(readModel(join(folder, 'page.onnx'))).rejects.toMatchObject({
      code: 'invalid-model',
      message: expect.stringMatching(/page\.onnx: this is a web page/),
    })
  })
})

describe('external data', () => {
  const data = Buffer.from(new Float32Array([0, 1, 2, 3, 4, 5]).buffer)

  it('is found beside the model, at its offset', async () => {
    const path = pointingAt({ location: 'w.bin', offset: '4', length: '16' })
    writeFileSync(join(folder, 'models', 'w.bin'), data)
    expect((await readModel(path)).graph.initializers.get('w')!.numbers).toEqual([1, 2, 3, 4])
  })

  it('is found through links that stay inside, and where model and data are links into one folder', async () => {
    const path = pointingAt({ location: 'link.bin' })
    mkdirSync(join(folder, 'models', 'blobs'))
    writeFileSync(join(folder, 'models', 'blobs', 'w'), data)
    symlinkSync('blobs/w', join(folder, 'models', 'link.bin'))
    expect((await readModel(path)).graph.initializers.get('w')!.numbers).toEqual([0, 1, 2, 3])

    mkdirSync(join(folder, 'blobs'))
    mkdirSync(join(folder, 'snapshot'))
    linkSync(path, join(folder, 'blobs', 'm'))
    writeFileSync(join(folder, 'blobs', 'd'), data)
    symlinkSync('../blobs/m', join(folder, 'snapshot', 'model.onnx'))
    symlinkSync('../blobs/d', join(folder, 'snapshot', 'link.bin'))
    const cached = await readModel(join(folder, 'snapshot', 'model.onnx'))
    expect(cached.graph.initializers.get('w')!.numbers).toEqual([0, 1, 2, 3])
  })

  it.each([
    ['a parent folder', '../secret'],
    ['a parent folder further in', 'models/../../secret'],
    ['a parent folder, Windows style', '..\\secret'],
    ['an absolute path', '/etc/hostname'],
    ['a link out of the folder', 'escape'],
    ['a linked folder', 'out/secret'],
    ['a folder', 'sub'],
    ['a name with a zero byte', 'w\0.bin'],
    ['nothing', ''],
  ])('is refused at %s', async (_, location) => {
    writeFileSync(join(folder, 'secret'), data)
    const path = pointingAt({ location })
    mkdirSync(join(folder, 'models', 'sub'))
    symlinkSync('../secret', join(folder, 'models', 'escape'))
    symlinkSync('..', join(folder, 'models', 'out'))
    await expect(readModel(path)).rejects.toMatchObject({ code: 'invalid-model' })
  })

  it.each([
    ['offset', { offset: '12' }],
    ['offset', { offset: '-4' }],
    ['offset', { offset: '0x4' }],
    ['offset', { offset: '99999999999999999999' }],
    ['length', { length: '12' }],
    ['length', { length: '1e1' }],
  ])('is refused with a wrong %s: %o', async (_, entries) => {
    const path = pointingAt({ location: 'w.bin', ...entries })
    writeFileSync(join(folder, 'models', 'w.bin'), data)
    await expect(readModel(path)).rejects.toMatchObject({ code: 'invalid-model' })
  })

  it('is reported when it is missing, or changes under our hands', async () => {
    const path = pointingAt({ location: 'w.bin' })
    await expect(readModel(path)).rejects.toMatchObject({ code: 'not-found' })
    const file = join(folder, 'models', 'w.bin')
    writeFileSync(file, data)
    const tensor = (await readModel(path)).graph.initializers.get('w')!
    truncateSync(file, 8)
    expect(() => tensor.bytes).toThrowError(expect.objectContaining({ code: 'conflict' }))
  })

  it('is an error in a model that is read from bytes alone', async () => {
    const path = pointingAt({ location: 'w.bin' })
    expect(() => decodeModel(readFileSync(path))).toThrowError(
      expect.objectContaining({ code: 'invalid-model' }),
    )
  })
})
