import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { writeFileAtomic } from '../../../manifests/atomic.ts'
import { type Checkpoint, readCheckpoint, writeCheckpoint } from '../../../trainer/checkpoint/checkpoint.ts'
import { readSafetensors, writeSafetensors } from '../../../trainer/checkpoint/safetensors.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-checkpoint-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const checkpoint = (step: number, tensors: Iterable<[string, Tensor]> = []): Checkpoint => ({
  plan: 'a'.repeat(64),
  backend: 'wasm',
  step,
  seconds: 1.5,
  history: [{ step, loss: 0.25 }],
  tensors: new Map(tensors),
})

/** Names as third-party files have them: of any length, in any script. */
const TENSORS: readonly [string, Tensor][] = [
  ['weight/卷积/kernel', Tensor.float32([2, 1, 3], [1, -2, 3.5, 0, 1e-30, 7])],
  ['weight/é', Tensor.float32([], [0.5])],
  ['method/empty', Tensor.float32([0], [])],
  ['momentum/a "quoted" name', Tensor.float32([3], [1, 2, 3])],
]

it('gives back what was written, under any name', async () => {
  await writeCheckpoint(folder, checkpoint(7, TENSORS))
  const { tensors, ...rest } = (await readCheckpoint(folder))!
  const { tensors: _, ...written } = checkpoint(7)
  expect(rest).toEqual(written)
  expect([...tensors.keys()]).toEqual(TENSORS.map(([name]) => name))
  for (const [name, tensor] of TENSORS) {
    expect(tensors.get(name)!.dims).toEqual(tensor.dims)
    expect(tensors.get(name)!.floats).toEqual(tensor.floats)
  }
})

it('writes what the format asks for: a JSON header that ends where a tensor may begin', async () => {
  const path = join(folder, 'x.safetensors')
  await writeFileAtomic(path, (file) => writeSafetensors(file, new Map(TENSORS)))
  const bytes = readFileSync(path)
  const length = Number(bytes.readBigUInt64LE())
  expect(length % 8).toBe(0)
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, { shape: number[] }>
  expect(header['weight/卷积/kernel']).toEqual({ dtype: 'F32', shape: [2, 1, 3], data_offsets: [0, 24] })
  expect(bytes.length).toBe(8 + length + 24 + 4 + 12)
})

it('keeps the newest checkpoint alone', async () => {
  for (const step of [1, 2, 3]) await writeCheckpoint(folder, checkpoint(step, TENSORS))
  expect((await readCheckpoint(folder))!.step).toBe(3)
  expect(readdirSync(folder).sort()).toEqual(['checkpoint-00000003.safetensors', 'checkpoint.json'])
})

it.each([
  ['too short for a header', (path: string) => truncateSync(path, 4)],
  ['cut in its header', (path: string) => truncateSync(path, 30)],
  ['cut in a tensor', (path: string) => truncateSync(path, readFileSync(path).length - 1)],
  ['of another header', (path: string) => writeFileSync(path, overwritten(readFileSync(path), 8, '}'))],
  ['of an unknown type', (path: string) => writeFileSync(path, retyped(readFileSync(path)))],
])('says that a file of tensors is damaged: %s', async (_, damage) => {
  const path = join(folder, 'x.safetensors')
  await writeFileAtomic(path, (file) => writeSafetensors(file, new Map(TENSORS)))
  damage(path)
  await expect(readSafetensors(path)).rejects.toMatchObject({ code: 'integrity' })
})

function overwritten(bytes: Buffer, at: number, text: string): Buffer {
  bytes.write(text, at)
  return bytes
}

const retyped = (bytes: Buffer): Buffer => overwritten(bytes, bytes.indexOf('F32'), 'F33')

it('says that a checkpoint is damaged, and which file', async () => {
  await writeCheckpoint(folder, checkpoint(1, TENSORS))
  const document = join(folder, 'checkpoint.json')
  const text = readFileSync(document, 'utf8')
  writeFileSync(document, text.slice(0, 40))
  await expect(readCheckpoint(folder)).rejects.toMatchObject({
    code: 'integrity',
    message: expect.stringContaining('checkpoint.json'),
  })
  writeFileSync(document, text)
  rmSync(join(folder, 'checkpoint-00000001.safetensors'))
  await expect(readCheckpoint(folder)).rejects.toMatchObject({
    code: 'integrity',
    message: expect.stringContaining('is not there'),
  })
})
