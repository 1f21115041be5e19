import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GraphBuilder } from '../../../converters/onnx/builder.ts'
import { encodeModel } from '../../../converters/onnx/codec.ts'
import { emptyGraph, modelOf } from '../../../converters/onnx/graph.ts'
import { modelManifestSchema } from '../../../manifests/schema/model.ts'
import { runZoo } from './run-zoo.ts'

let folder: string
let path: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-test-'))
  path = join(folder, 'dense-mnist.onnx')
  const graph = emptyGraph('dense')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: ['N', 1, 28, 28] })
  graph.outputs.push({ name: 'y', dtype: 'float32', dims: ['N', 10] })
  const b = new GraphBuilder(graph)
  const weights = Float32Array.from({ length: 7840 }, (_, i) => Math.sin(i))
  b.op('Gemm', [b.op('Flatten', ['x']), b.floats([784, 10], weights)], {}, { outputs: ['y'] })
  writeFileSync(path, encodeModel(modelOf(graph)))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('zoo lint', () => {
  it('says what it found, exits 0 with warnings, and writes a manifest', async () => {
    const manifest = join(folder, 'manifest.json')
    const { code, stdout } = await runZoo(['lint', path, '--write-manifest', manifest], folder)
    expect(code).toBe(0)
    expect(stdout).toContain('10 classes, logits')
    expect(stdout).toMatch(/^warning nothing in the file tells .*\[unknown-normalisation\]$/m)
    expect(stdout).toContain('can be evaluated: 0 errors, 1 warning')
    expect(stdout).toMatch(/guesses to check: name, .*licence/)
    const written = modelManifestSchema.parse(JSON.parse(readFileSync(manifest, 'utf8')))
    expect(written).toMatchObject({
      name: 'dense-mnist',
      dataset: 'mnist',
      input: { channels: 'grey', size: [28, 28] },
    })
  })

  it('exits 3 where an evaluation is impossible, with one document on stdout', async () => {
    const { code, stdout } = await runZoo(['lint', path, '--layout', 'nhwc', '--json'], folder)
    expect(code).toBe(3)
    const report = JSON.parse(stdout)
    expect(report).toMatchObject({ passed: false, output: { classes: 10 } })
    expect(report.findings[0]).toMatchObject({ check: 'description', severity: 'error' })
  })

  it('exits 5 on what is no model', async () => {
    const other = join(folder, 'page.onnx')
    writeFileSync(other, '<html>')
    const { code, stderr } = await runZoo(['lint', other], folder)
    expect(code).toBe(5)
    expect(stderr).toContain('this is a web page')
  })
})
