import * as tf from '@tensorflow/tfjs'
import { describe, expect, it } from 'vitest'
import type { DataSet } from '../../../converters/data/dataset.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { checkParity, describeParity } from '../../../converters/tfjs/check.ts'
import { convertTfjs } from '../../../converters/tfjs/convert.ts'
import { readTfjs } from '../../../converters/tfjs/read.ts'
import { dataSamples, randomSamples } from '../../../converters/tfjs/samples.ts'
import { silent } from '../../../manifests/progress.ts'
import { randomised, saved } from './models.ts'

const { layers } = tf

const classifier = (): tf.LayersModel =>
  randomised(
    tf.sequential({
      layers: [
        layers.conv2d({ inputShape: [8, 6, 3], filters: 4, kernelSize: 3, activation: 'relu' }),
        layers.globalAveragePooling2d({}),
        layers.dense({ units: 5, name: 'scores' }),
      ],
    }),
  )

async function checkedWith(change: (weights: Map<string, Tensor>) => void, tolerance = 1e-4) {
  const source = await readTfjs(await saved(classifier()))
  const conversion = convertTfjs(source)
  change(conversion.model.graph.initializers)
  const session = await openSession(conversion.model, { threads: 1 })
  const samples = randomSamples(conversion.inputs, 6, [-1, 1], 3)
  const report = await checkParity(source, conversion, session, { samples, tolerance, progress: silent })
  await session.release()
  return report
}

describe('the comparison with tfjs', () => {
  it('passes a faithful model and says by how much', async () => {
    const report = await checkedWith(() => {})
    expect(report).toMatchObject({ passed: true, samples: 6, tolerance: 1e-4, reference: 'tfjs wasm' })
    expect(report.outputs).toHaveLength(1)
    const [{ name, largest, mean, magnitude, sameTop1 }] = report.outputs as [(typeof report.outputs)[0]]
    expect({ name, sameTop1 }).toEqual({ name: 'scores', sameTop1: 1 })
    expect(largest).toBeLessThan(1e-5)
    expect(mean).toBeLessThanOrEqual(largest)
    expect(magnitude).toBeGreaterThan(0.1)
    expect(describeParity(report)[0]).toMatch(/^scores: largest difference .*; same top-1 6 of 6$/)
  })

  it('fails when one weight is off, and asks the plain backend before it says so', async () => {
    const report = await checkedWith((weights) => {
      const [name, { dims, floats }] = [...weights].find(([key]) => key.endsWith('kernel'))!
      weights.set(
        name,
        Tensor.float32(
          dims,
          floats.map((value, i) => (i === 0 ? value + 0.01 : value)),
        ),
      )
    })
    expect(report).toMatchObject({ passed: false, reference: 'tfjs cpu' })
  })

  it('fails when a result is no number', async () => {
    const report = await checkedWith((weights) => {
      const [name, { dims, floats }] = [...weights].find(([key]) => key.endsWith('bias'))!
      weights.set(name, Tensor.float32(dims, new Float32Array(floats.length).fill(Number.NaN)))
    })
    expect(report.passed).toBe(false)
    expect(report.outputs[0]!.largest).toBeNaN()
  })

  it('counts samples whose largest score is another class', async () => {
    const report = await checkedWith((weights) => {
      const [name, { dims }] = [...weights].find(([key]) => key === 'scores/bias')!
      weights.set(name, Tensor.float32(dims, [100, 0, 0, 0, 0]))
    }, 1e9)
    expect(report.passed).toBe(true)
    expect(report.outputs[0]!.sameTop1).toBeLessThan(1)
  })
})

describe('samples', () => {
  it('are the same for the same seed and lie in the given range', async () => {
    const inputs = convertTfjs(await readTfjs(await saved(classifier()))).inputs
    const drawn = async (seed: number): Promise<number[]> => {
      const values: number[] = []
      for await (const batch of randomSamples(inputs, 4, [-2, 6], seed).batches())
        for (const tensor of Object.values(batch)) values.push(...tensor.floats)
      return values
    }
    const first = await drawn(1)
    expect(first).toHaveLength(4 * 8 * 6 * 3)
    expect(await drawn(1)).toEqual(first)
    expect(await drawn(2)).not.toEqual(first)
    expect(Math.min(...first)).toBeGreaterThanOrEqual(-2)
    expect(Math.max(...first)).toBeLessThanOrEqual(6)
    expect(Math.max(...first)).toBeGreaterThan(5)
  })

  it('of a data set come as the model takes them: channels last, in its range', async () => {
    const inputs = convertTfjs(await readTfjs(await saved(classifier()))).inputs
    const size = 3 * 8 * 6
    const data: DataSet = {
      name: 'numbers',
      sha256: '',
      size: 9,
      shape: [3, 8, 6],
      classes: null,
      read: async (indices) => ({
        images: Float32Array.from({ length: indices.length * size }, (_, i) => i / (indices.length * size)),
        labels: new Int32Array(indices.length),
      }),
    }
    const samples = dataSamples(inputs, data, 100, [0, 255])
    expect(samples.count).toBe(9)
    const sizes: number[] = []
    for await (const batch of samples.batches()) {
      const [x] = Object.values(batch)
      sizes.push(x!.dims[0]!)
      if (x!.dims[0] !== 4) continue
      expect(x!.dims).toEqual([4, 8, 6, 3])
      // Row 0, column 1, channel 2 of the first image.
      expect(x!.floats[5]).toBeCloseTo(((2 * 48 + 1) / (4 * size)) * 255, 3)
    }
    expect(sizes).toEqual([4, 4, 1])
    const other = { ...data, shape: [3, 9, 6] as const }
    expect(() => dataSamples(inputs, other, 4, [0, 1])).toThrowError(/9x6x3, the model takes 8x6x3/)
    expect(() => dataSamples(inputs, { ...data, size: 0 }, 4, [0, 1])).toThrowError(/too few/)
  })
})
