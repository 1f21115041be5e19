import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GraphBuilder } from '../../../../converters/onnx/builder.ts'
import { encodeModel } from '../../../../converters/onnx/codec.ts'
import { writeModel } from '../../../../converters/onnx/file.ts'
import { emptyGraph, type Model, modelOf } from '../../../../converters/onnx/graph.ts'
import type { ModelSource, Session, SessionOptions } from '../../../../converters/onnx/runtime/session.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'

/** y = x W + b and n = number of rows, for x of shape [N, 2]. */
export function smallModel(): Model {
  const graph = emptyGraph('small')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: ['N', 2] })
  graph.outputs.push(
    { name: 'y', dtype: 'float32', dims: ['N', 3] },
    { name: 'n', dtype: 'int64', dims: [2] },
  )
  const b = new GraphBuilder(graph)
  b.op(
    'Gemm',
    ['x', b.floats([2, 3], [1, 2, 3, 4, 5, 6]), b.floats([3], [0.5, 0, -0.5])],
    {},
    { outputs: ['y'] },
  )
  b.op('Shape', ['x'], {}, { outputs: ['n'] })
  return modelOf(graph)
}

/** What every implementation of `Session` does. */
export function sessionSuite(
  name: string,
  open: (source: ModelSource, options?: SessionOptions) => Promise<Session>,
) {
  describe(name, () => {
    let folder: string
    let session: Session
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'zoo-test-'))
      session = await open(smallModel(), { threads: 1 })
    })
    afterAll(async () => {
      await session.release()
      rmSync(folder, { recursive: true })
    })
    const x = Tensor.float32([2, 2], [1, 0, 0, 1])

    it('says what goes in and comes out', () => {
      expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', dims: ['N', 2] }])
      expect(session.outputs).toEqual([
        { name: 'y', dtype: 'float32', dims: ['N', 3] },
        { name: 'n', dtype: 'int64', dims: [2] },
      ])
    })

    it('computes every output', async () => {
      const { y, n } = await session.run({ x })
      expect(y?.dims).toEqual([2, 3])
      expect(y?.numbers).toEqual([1.5, 2, 2.5, 4.5, 5, 5.5])
      expect(n?.elements).toEqual(BigInt64Array.of(2n, 2n))
    })

    it('takes any size where the model says a symbol', async () => {
      const { y } = await session.run({ x: Tensor.float32([1, 2], [2, 3]) })
      expect(y?.numbers).toEqual([14.5, 19, 23.5])
    })

    it('answers requests that were made at once, each with its own result', async () => {
      const results = await Promise.all(
        [0, 1, 2, 3].map((i) => session.run({ x: Tensor.float32([1, 2], [i, 0]) })),
      )
      expect(results.map(({ y }) => y?.numbers[0])).toEqual([0.5, 1.5, 2.5, 3.5])
    })

    it('takes a view into a larger buffer', async () => {
      const whole = new Float32Array([9, 9, 9, 1, 0])
      const { y } = await session.run({ x: Tensor.float32([1, 2], whole.subarray(3)) })
      expect(y?.numbers).toEqual([1.5, 2, 2.5])
    })

    it.each<[string, Record<string, Tensor>, RegExp]>([
      ['nothing', {}, /"x" is missing/],
      ['a wrong type', { x: Tensor.int64([1, 2], [1, 2]) }, /is int64, not float32/],
      ['a wrong size', { x: Tensor.float32([1, 3], [1, 2, 3]) }, /shape \[1,3\], not \[N,2\]/],
      ['a wrong rank', { x: Tensor.float32([2], [1, 2]) }, /shape \[2\]/],
      ['too much', { x, z: x }, /no input "z"/],
    ])('refuses %s', async (_, feeds, message) => {
      await expect(session.run(feeds)).rejects.toMatchObject({
        code: 'invalid-data',
        message: expect.stringMatching(message),
      })
    })

    it('opens bytes and paths as well, and external data', async () => {
      const path = join(folder, 'm.onnx')
      const model = smallModel()
      model.graph.initializers.set('constant', Tensor.float32([2, 3], new Float32Array([1, 2, 3, 4, 5, 6])))
      writeFileSync(path, encodeModel(model))
      const external = join(folder, 'external.onnx')
      await writeModel(largerModel(), external, { externalAbove: 0 })
      for (const source of [encodeModel(model), path]) {
        const other = await open(source)
        expect((await other.run({ x })).y?.numbers[0]).toBe(1.5)
        await other.release()
      }
      const other = await open(external)
      const { y } = await other.run({ x: Tensor.float32([1, 64], new Float32Array(64).fill(1)) })
      expect(y?.numbers).toEqual(Array(64).fill(64 * 0.25))
      await other.release()
    })

    it('reports what onnxruntime refuses', async () => {
      await expect(open(new Uint8Array([1, 2, 3]))).rejects.toMatchObject({ code: 'invalid-model' })
      const unknown = smallModel()
      unknown.graph.nodes.push({
        ...unknown.graph.nodes[1]!,
        opType: 'NoSuchOperator',
        name: 'q',
        outputs: ['q'],
      })
      await expect(open(unknown)).rejects.toMatchObject({ code: 'unsupported-model' })
    })

    it('reports a model that fails on its inputs', async () => {
      const model = smallModel()
      const b = new GraphBuilder(model.graph)
      model.graph.outputs.push({ name: 'r', dtype: 'float32', dims: [2] })
      b.op('Reshape', ['x', b.int64s([2])], {}, { outputs: ['r'] })
      const fixed = await open(model)
      await expect(fixed.run({ x })).rejects.toMatchObject({ code: 'unsupported-model' })
      await fixed.release()
    })

    it('reads zeros that come before a MaxPool as zeros', async () => {
      const graph = emptyGraph('padded')
      graph.inputs.push({ name: 'x', dtype: 'float32', dims: [1, 1, 2, 2] })
      graph.outputs.push({ name: 'y', dtype: 'float32', dims: [1, 1, 1, 1] })
      const b = new GraphBuilder(graph)
      const pads = b.int64s([0, 0, 1, 1, 0, 0, 0, 0])
      b.op('MaxPool', [b.op('Pad', ['x', pads])], { kernel_shape: [3, 3] }, { outputs: ['y'] })
      const padded = await open(modelOf(graph))
      const { y } = await padded.run({ x: Tensor.float32([1, 1, 2, 2], [-4, -3, -2, -1]) })
      expect(y?.numbers).toEqual([0])
      await padded.release()
    })

    it('says when a provider is not there', async () => {
      await expect(open(smallModel(), { provider: 'cuda' })).rejects.toMatchObject({
        code: 'backend-unavailable',
      })
    })
  })
}

/** y = x W with 16 KB of weights, enough to lie in a file of external data. */
export function largerModel(): Model {
  const graph = emptyGraph('larger')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: ['N', 64] })
  graph.outputs.push({ name: 'y', dtype: 'float32', dims: ['N', 64] })
  const b = new GraphBuilder(graph)
  b.op(
    'MatMul',
    ['x', b.floats([64, 64], new Float32Array(4096).fill(0.25), 'weight')],
    {},
    { outputs: ['y'] },
  )
  return modelOf(graph)
}
