import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zipSync } from 'fflate'
import { GraphBuilder } from '../../../converters/onnx/builder.ts'
import { writeModel } from '../../../converters/onnx/file.ts'
import { emptyGraph, modelOf } from '../../../converters/onnx/graph.ts'

/**
 * A real classifier, real enough to be attacked in a second: which quarter of a grey 4x4 image is brightest? It sums
 * each quarter, off by a little noise that makes one model less robust than another.
 */
export async function writeTinyModel(path: string, noise: number): Promise<string> {
  const graph = emptyGraph('tiny')
  graph.inputs.push({ name: 'image', dtype: 'float32', dims: ['N', 1, 4, 4] })
  const b = new GraphBuilder(graph)
  const flat = b.op('Flatten', ['image'])
  const weights = Array.from(
    { length: 64 },
    (_, i) => Number(quarter(i >> 2) === i % 4) + noise * Math.sin(37 * i),
  )
  const logits = b.op('MatMul', [flat, b.floats([16, 4], weights)], {}, { outputs: ['logits'] })
  graph.outputs.push({ name: logits, dtype: 'float32', dims: ['N', 4] })
  mkdirSync(join(path, '..'), { recursive: true })
  await writeModel(modelOf(graph), path)
  return path
}

const quarter = (pixel: number): number => 2 * Number(pixel >= 8) + Number(pixel % 4 >= 2)

/** Images for it: one quarter brighter than the others, by more or less. */
export function writeTinyData(path: string, count: number): string {
  const x = new Uint8Array(16 * count)
  const y = new Uint8Array(count)
  for (let n = 0; n < count; n++) {
    y[n] = n % 4
    const lead = 8 + ((n * 29) % 90)
    for (let i = 0; i < 16; i++)
      x[16 * n + i] = 80 + ((n * 31 + i * 17) % 20) + (quarter(i) === y[n] ? lead : 0)
  }
  writeFileSync(path, zipSync({ 'x.npy': npy('|u1', [count, 1, 4, 4], x), 'y.npy': npy('|u1', [count], y) }))
  return path
}

function npy(dtype: string, shape: readonly number[], bytes: Uint8Array): Uint8Array {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': (${tuple}), }`
  const header = `${text.padEnd(128 - 10 - 1)}\n`
  return Buffer.concat([
    Buffer.from('\x93NUMPY\x01\x00', 'latin1'),
    Buffer.from([header.length, 0]),
    Buffer.from(header),
    bytes,
  ])
}

/** A battery small enough for tests, of several units per block so that there is something to interrupt. */
export function writeTinyBattery(path: string): string {
  writeFileSync(
    path,
    JSON.stringify({
      schemaVersion: 1,
      id: 'tiny',
      version: '1',
      description: 'For tests: short walks, several of them.',
      aggregation: 'worst-case',
      attacks: [
        { kind: 'pgd', name: 'pgd-ce', iterations: 10, step: 0.25, restarts: 3 },
        { kind: 'pgd', name: 'pgd-margin', loss: 'margin', iterations: 10, step: 0.25, restarts: 2 },
      ],
      checks: 0,
    }),
  )
  return path
}
