import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromFloat16 } from '../../../converters/onnx/half.ts'
import { readTfjs } from '../../../converters/tfjs/read.ts'
import { converted, randomised, saved, temporaryFolder } from './models.ts'

interface Weight {
  name: string
  shape: number[]
  dtype: string
  quantization?: object
}
interface Group {
  paths: string[]
  weights: Weight[]
}

/** A model.json over these groups, and their files. */
async function model(weightsManifest: Group[], files: Record<string, Uint8Array>): Promise<string> {
  const folder = await temporaryFolder()
  const json = { format: 'graph-model', modelTopology: { node: [] }, weightsManifest }
  await writeFile(join(folder, 'model.json'), JSON.stringify(json))
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), bytes)
  }
  return join(folder, 'model.json')
}

const bytesOf = (values: Float32Array | Uint16Array | Int32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

const one = (weight: Partial<Weight>, path = 'w.bin'): Group[] => [
  { paths: [path], weights: [{ name: 'w', shape: [2], dtype: 'float32', ...weight }] },
]

const numbers = async (path: string, name = 'w'): Promise<number[]> =>
  (await readTfjs(path)).weights.tensors.get(name)!.numbers

describe('weights', () => {
  it('are read across the edges of shards', async () => {
    const all = bytesOf(Float32Array.of(1, 2, 3, 4, 5))
    const files = { 'a.bin': all.slice(0, 3), 'sub/b.bin': all.slice(3, 17), 'c.bin': all.slice(17) }
    const weights = [
      { name: 'v', shape: [3], dtype: 'float32' },
      { name: 'w', shape: [1, 2], dtype: 'float32' },
    ]
    const path = await model([{ paths: Object.keys(files), weights }], files)
    const { tensors } = (await readTfjs(path)).weights
    expect(tensors.get('v')!.numbers).toEqual([1, 2, 3])
    expect(tensors.get('w')).toMatchObject({ dims: [1, 2] })
    expect(tensors.get('w')!.numbers).toEqual([4, 5])
  })

  it('of one byte, two bytes or half precision are what tfjs makes of them', async () => {
    const weights: Weight[] = [
      {
        name: 'bytes',
        shape: [3],
        dtype: 'float32',
        quantization: { dtype: 'uint8', min: -1.5, scale: 0.0123 },
      },
      {
        name: 'words',
        shape: [2],
        dtype: 'float32',
        quantization: { dtype: 'uint16', min: 0.25, scale: 1e-4 },
      },
      { name: 'integers', shape: [1], dtype: 'int32', quantization: { dtype: 'uint8', min: -3, scale: 0.5 } },
      {
        name: 'halves',
        shape: [4],
        dtype: 'float32',
        quantization: { dtype: 'float16', original_dtype: 'float32' },
      },
      { name: 'text', shape: [2], dtype: 'string' },
      { name: 'after', shape: [1], dtype: 'float32' },
    ]
    const parts = [
      Uint8Array.of(0, 128, 255),
      bytesOf(Uint16Array.of(1, 65535)),
      Uint8Array.of(9),
      bytesOf(Uint16Array.of(0x3c00, 0xc100, 0x0001, 0x7bff)),
      Uint8Array.of(1, 0, 0, 0, 65, 2, 0, 0, 0, 66, 67),
      bytesOf(Float32Array.of(7.5)),
    ]
    const bytes = new Uint8Array(Buffer.concat(parts))
    const path = await model([{ paths: ['w.bin'], weights }], { 'w.bin': bytes })
    const ours = (await readTfjs(path)).weights.tensors
    const theirs = tf.io.decodeWeights(bytes.buffer, weights as unknown as tf.io.WeightsManifestEntry[])
    for (const name of ['bytes', 'words', 'integers', 'halves', 'after'])
      expect(ours.get(name)!.numbers).toEqual(Array.from(await theirs[name]!.data()))
    expect(ours.get('text')!.strings).toEqual(['A', 'BC'])
  })

  it('of half precision are exact, infinities and all', async () => {
    const reference = tf.io.decodeWeights
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i)
    const spec = { name: 'w', shape: [65536], dtype: 'float32', quantization: { dtype: 'float16' } }
    const expected = await reference(bits.buffer, [spec as unknown as tf.io.WeightsManifestEntry]).w!.data()
    expect(Array.from(bits, fromFloat16)).toEqual(Array.from(expected))
  })

  it.each([
    ['too short', new Uint8Array(7)],
    ['too long', new Uint8Array(9)],
    ['empty', new Uint8Array(0)],
  ])('that are %s are an integrity error', async (_, bytes) => {
    await expect(readTfjs(await model(one({}), { 'w.bin': bytes }))).rejects.toMatchObject({
      code: 'integrity',
    })
  })

  it('of any length but the right one are refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(40), async (length) => {
        const read = readTfjs(await model(one({}), { 'w.bin': new Uint8Array(length) }))
        if (length === 8) await expect(read).resolves.toBeDefined()
        else await expect(read).rejects.toMatchObject({ code: 'integrity' })
      }),
      { numRuns: 20 },
    )
  })

  it.each(['../w.bin', '/etc/hostname', 'https://example.org/w.bin', '.'])(
    'are not fetched from %s',
    async (path) => {
      await expect(readTfjs(await model(one({}, path), {}))).rejects.toMatchObject({
        code: expect.stringMatching(/^(invalid-model|not-found)$/),
      })
    },
  )

  it('are not read through a link that leaves the folder', async () => {
    const outside = join(await temporaryFolder(), 'secret.bin')
    await writeFile(outside, new Uint8Array(8))
    const path = await model(one({}), {})
    await symlink(outside, join(dirname(path), 'w.bin'))
    await expect(readTfjs(path)).rejects.toMatchObject({
      code: 'invalid-model',
      message: "weights w.bin lie outside the model's folder",
    })
  })

  it('that are missing are named', async () => {
    await expect(readTfjs(await model(one({}), {}))).rejects.toMatchObject({
      code: 'not-found',
      message: 'weights w.bin cannot be read beside the model.json',
    })
  })

  it('with one name are refused', async () => {
    const [group] = one({})
    const twice = [{ paths: ['w.bin'], weights: [...group!.weights, ...group!.weights] }]
    await expect(readTfjs(await model(twice, { 'w.bin': new Uint8Array(16) }))).rejects.toMatchObject({
      code: 'invalid-model',
    })
  })

  it('quantised without a range are refused', async () => {
    const weight = one({ quantization: { dtype: 'uint8' } })
    await expect(numbers(await model(weight, { 'w.bin': new Uint8Array(2) }))).rejects.toMatchObject({
      code: 'invalid-model',
    })
  })

  it('that are quantised convert as tfjs reads them', async () => {
    const input = tf.input({ shape: [5, 5, 2] })
    const conv = tf.layers.conv2d({ filters: 3, kernelSize: 3, useBias: false, name: 'conv' })
    const path = await saved(
      randomised(tf.model({ inputs: input, outputs: conv.apply(input) as tf.SymbolicTensor })),
    )
    const json = JSON.parse(await readFile(path, 'utf8')) as { weightsManifest: Group[] }
    const [kernel] = json.weightsManifest[0]!.weights
    kernel!.quantization = { dtype: 'uint8', min: -1, scale: 2 / 255 }
    await writeFile(path, JSON.stringify(json))
    await writeFile(
      join(dirname(path), 'weights.bin'),
      Uint8Array.from({ length: 54 }, (_, i) => (i * 83) % 256),
    )
    expect((await converted(path)).parity.passed).toBe(true)
  })
})

describe('model.json', () => {
  const written = async (text: string): Promise<string> => {
    const path = join(await temporaryFolder(), 'model.json')
    await writeFile(path, text)
    return path
  }

  it('that is something else is refused, with what to do', async () => {
    await expect(readTfjs(await written('<html>'))).rejects.toMatchObject({
      code: 'invalid-model',
      hint: 'zoo convert takes the model.json of a tfjs model',
    })
    await expect(readTfjs(await written('[{"paths": []}]'))).rejects.toMatchObject({
      code: 'invalid-model',
      hint: 'some packages keep the network in their code; such weights cannot be converted',
    })
    await expect(readTfjs(await written('{"weightsManifest": 3}'))).rejects.toMatchObject({
      code: 'invalid-model',
      message: expect.stringContaining('modelTopology'),
    })
    await expect(readTfjs('https://example.org/model.json')).rejects.toMatchObject({ code: 'usage' })
    await expect(readTfjs(await temporaryFolder())).rejects.toMatchObject({ code: 'usage' })
    await expect(readTfjs('/nowhere/model.json')).rejects.toMatchObject({ code: 'not-found' })
  })

  it('of another format is refused', async () => {
    const json = { format: 'tfjs-recurrent', modelTopology: {}, weightsManifest: [] }
    await expect(readTfjs(await written(JSON.stringify(json)))).rejects.toMatchObject({
      code: 'unsupported-model',
    })
  })

  it('is known by its digest and that of its weights', async () => {
    const path = await model(one({}), { 'w.bin': bytesOf(Float32Array.of(1, 2)) })
    const { files } = await readTfjs(path)
    expect(files.map(({ size }) => size)).toEqual([(await readFile(path)).byteLength, 8])
    expect(files[1]!.sha256).toBe('b9c80b5adeca450753a16950c3cc655d271f7bef7a485bc83f112b72fef21d37')
  })
})
