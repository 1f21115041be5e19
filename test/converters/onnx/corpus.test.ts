import { relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeModel, encodeModel } from '../../../converters/onnx/codec.ts'
import { readModel } from '../../../converters/onnx/file.ts'
import type { Model } from '../../../converters/onnx/graph.ts'
import { normalise } from '../../../converters/onnx/normalise.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import type { Feeds, ModelSource } from '../../../converters/onnx/runtime/session.ts'
import { ZooError } from '../../../manifests/error.ts'
import { needsTestData, testData } from '../../data.ts'
import { modelsUnder, needsNodeTests, nodeTests, someInputs, storedInputs } from './corpus.ts'

type Values = Record<string, { dims: readonly number[]; values: readonly (number | string)[] }>

async function compute(source: ModelSource, feeds: Feeds | 'made up'): Promise<Values> {
  const session = await openSession(source, { threads: 1 })
  try {
    const results = await session.run(feeds === 'made up' ? someInputs(session.inputs) : feeds)
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => [
        name,
        { dims: tensor.dims, values: tensor.strings ?? tensor.numbers },
      ]),
    )
  } finally {
    await session.release()
  }
}

/** Compares within a tolerance relative to the larger of 1 and the value; 0 asks for the same bits. */
function expectSame(actual: Values, expected: Values, tolerance: number): void {
  for (const [name, { dims, values }] of Object.entries(expected)) {
    expect(actual[name]?.dims).toEqual(dims)
    for (const [i, value] of values.entries()) {
      const other = actual[name]!.values[i]!
      const same =
        Object.is(value, other) ||
        (typeof value === 'number' &&
          typeof other === 'number' &&
          Math.abs(value - other) <= tolerance * Math.max(1, Math.abs(value)))
      if (!same) expect.fail(`${name}[${i}] is ${other}, not ${value}`)
    }
  }
}

/** A model in other forms computes what the file computes. */
async function check(path: string, model: Model, feeds: Feeds | 'made up'): Promise<void> {
  const expected = await compute(path, feeds)
  expectSame(await compute(decodeModel(encodeModel(model)), feeds), expected, 0)
  expectSame(await compute(normalise(model), feeds), expected, 1e-5)
}

describe.skipIf(!testData)(`real models${needsTestData}`, () => {
  it.each(testData ? modelsUnder(testData).map((path) => [relative(testData!, path), path]) : [])(
    '%s computes the same after decoding and encoding, and normalised',
    async (_, path) => check(path!, await readModel(path!), 'made up'),
  )
})

/** Models of ONNX's own tests that onnxruntime runs but that are older than what we read. */
const TOO_OLD = /of opset [1-5];|Scan over batches/

describe.skipIf(!nodeTests)(`ONNX's own tests${needsNodeTests}`, () => {
  it('all read, and compute the same after decoding and encoding, and normalised', async () => {
    const count = { same: 0, refused: 0, tooOld: 0 }
    const wrong: string[] = []
    for (const path of modelsUnder(nodeTests!)) {
      const model = await readModel(path)
      const feeds = storedInputs(path, model.graph.inputs)
      try {
        // Some are of operators that onnxruntime lacks, or compute no tensors.
        await compute(path, feeds)
      } catch {
        count.refused++
        continue
      }
      try {
        await check(path, model, feeds)
        count.same++
      } catch (error) {
        if (error instanceof ZooError && TOO_OLD.test(error.message)) count.tooOld++
        else wrong.push(`${relative(nodeTests!, path)}: ${(error as Error).message}`)
      }
    }
    expect(wrong).toEqual([])
    expect(count.same).toBeGreaterThan(900)
    expect(count.tooOld).toBeLessThan(20)
  })
})
