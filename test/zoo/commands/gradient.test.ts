import { existsSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { readModel, writeModel } from '../../../converters/onnx/file.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { EXIT_CODES } from '../../../manifests/error.ts'
import { images, run, type TinyOptions, tinyClassifier } from '../../converters/onnx/tiny.ts'
import { runZoo } from './run-zoo.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zoo-gradient-'))
})

/** Writes a model and runs `zoo gradient` on it. */
async function gradient(name: string, options: TinyOptions, ...flags: string[]) {
  const [path, out] = [join(folder, `${name}.onnx`), join(folder, `${name}-gradient.onnx`)]
  await writeModel(tinyClassifier(options), path)
  return { out, ...(await runZoo(['gradient', path, '-o', out, ...flags], folder)) }
}

describe('zoo gradient', () => {
  test('without flags the image input stays as it is', async () => {
    const { out, code, stdout } = await gradient('bare', { input: 'pixels' }, '--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      path: out,
      loss: 'ce',
      input: { name: 'pixels', shape: ['batch', 3, 4, 4] },
      classes: 4,
      outputKind: 'logits',
    })
    const results = await run(await readModel(out), { pixels: images, label: Tensor.int64([2], [0, 3]) })
    expect(Object.fromEntries(Object.entries(results).map(([name, { dims }]) => [name, dims]))).toEqual({
      logits: [2, 4],
      loss: [2],
      gradient: [2, 3, 4, 4],
    })
  })

  test('with a flag that describes images the input is an image in [0,1], and the self-test agrees', async () => {
    const options: TinyOptions = { head: (b, x) => b.op('Div', [x, b.scalar(255)]) }
    const flags = ['--range', '0,255', '--loss', 'margin', '--batch', '2', '--self-test']
    const { out, code, stdout } = await gradient('scaled', options, ...flags)
    expect(stdout).toMatch(/image \[2, 3, 4, 4\] and label -> logits, loss \(margin\), gradient/)
    expect(stdout).toMatch(/self-test passed: relative error [\d.]+ % along the gradient/)
    expect(code).toBe(0)
    const { inputs } = (await readModel(out)).graph
    expect(inputs.map(({ name, dims }) => [name, dims])).toEqual([
      ['image', [2, 3, 4, 4]],
      ['label', [2]],
    ])
  })

  test('a self-test that disagrees is a failure of its own kind, and writes nothing', async () => {
    /** The steps of Floor have no gradient, but finite differences see them. */
    const options: TinyOptions = {
      head: (b, x) =>
        b.op('Add', [x, b.op('Div', [b.op('Floor', [b.op('Mul', [x, b.scalar(1e6)])]), b.scalar(1e6)])]),
    }
    const { out, code, stderr } = await gradient('stepped', options, '--self-test')
    expect(code).toBe(EXIT_CODES['check-failed'])
    expect(stderr).toMatch(/the gradient disagrees with finite differences: relative error/)
    expect(existsSync(out)).toBe(false)
  })

  test('straight through steps on demand', async () => {
    const options: TinyOptions = { head: (b, x) => b.op('Round', [x]) }
    const refused = await gradient('rounded', options)
    expect(refused.code).toBe(EXIT_CODES['unsupported-model'])
    expect(refused.stderr).toMatch(/zero everywhere/)
    expect((await gradient('rounded', options, '--straight-through', 'Round')).code).toBe(0)
    const both = await gradient('rounded', options, '--straight-through', 'Round', '--self-test')
    expect(both.code).toBe(EXIT_CODES.usage)
    const unknown = await gradient('rounded', options, '--straight-through', 'Ceil')
    expect(unknown.code).toBe(EXIT_CODES.usage)
    expect(unknown.stderr).toMatch(/no node and no operator "Ceil"/)
  })

  test('what cannot be done fails in one line, with a code of its own', async () => {
    const sigmoid = await gradient('sigmoid', { tail: (b, z) => b.op('Sigmoid', [z]) })
    expect(sigmoid.code).toBe(EXIT_CODES['unsupported-model'])
    expect(sigmoid.stderr).toMatch(/no classifier with one score per class/)
    const usage = await gradient('bad', {}, '--size', 'large')
    expect(usage.code).toBe(EXIT_CODES.usage)
    const missing = await runZoo(
      ['gradient', join(folder, 'none.onnx'), '-o', join(folder, 'x.onnx')],
      folder,
    )
    expect(missing.code).toBe(EXIT_CODES['not-found'])
  })
})
