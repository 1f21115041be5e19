import { execFile } from 'node:child_process'
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { create, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readModel } from '../../../converters/onnx/file.ts'
import { ModelProtoSchema, TensorProto_DataLocation } from '../../../converters/onnx/schema/onnx_pb.ts'
import { moduleFlags } from '../../../manifests/package.ts'
import { full } from '../../data.ts'

/** Weights of 4 million float32 each; together 2.6 GB in full, the size that protobuf cannot hold. */
const WEIGHT = 16 << 20
const COUNT = full ? 155 : 20

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-test-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** A chain of additions, its weights in a file that is mostly hole. The last number of each weight is its index. */
function writeLarge(path: string): void {
  const file = openSync(`${path}.data`, 'w')
  ftruncateSync(file, COUNT * WEIGHT)
  const indices = Array.from({ length: COUNT }, (_, i) => i)
  for (const i of indices)
    writeSync(file, new Uint8Array(Float32Array.of(i).buffer), 0, 4, (i + 1) * WEIGHT - 4)
  closeSync(file)
  const entries = (i: number) => ({
    location: 'large.onnx.data',
    offset: `${i * WEIGHT}`,
    length: `${WEIGHT}`,
  })
  const message = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ version: 18n }],
    graph: {
      input: [{ name: 'x0', type: { value: { case: 'tensorType', value: { elemType: 1 } } } }],
      output: [{ name: `x${COUNT}` }],
      node: indices.map((i) => ({ opType: 'Add', input: [`x${i}`, `w${i}`], output: [`x${i + 1}`] })),
      initializer: indices.map((i) => ({
        name: `w${i}`,
        dims: [BigInt(WEIGHT / 4)],
        dataType: 1,
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: Object.entries(entries(i)).map(([key, value]) => ({ key, value })),
      })),
    },
  })
  writeFileSync(path, toBinary(ModelProtoSchema, message))
}

it(`rewrites a model of ${((COUNT * WEIGHT) / 1e9).toFixed(1)} GB of weights in little memory`, {
  timeout: 180_000,
}, async () => {
  const [source, target] = [join(folder, 'large.onnx'), join(folder, 'copy.onnx')]
  writeLarge(source)
  const script = new URL('./rewrite.ts', import.meta.url)
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...moduleFlags(script),
    fileURLToPath(script),
    source,
    target,
  ])
  expect(Number(stdout)).toBeLessThan(250)
  expect(statSync(`${target}.data`).size).toBe(COUNT * WEIGHT)
  const { initializers } = (await readModel(target)).graph
  for (const i of [0, COUNT - 1]) expect(initializers.get(`w${i}`)!.floats.at(-1)).toBe(i)
})
