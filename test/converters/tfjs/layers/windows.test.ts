import * as tf from '@tensorflow/tfjs'
import fc from 'fast-check'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { encodeModel } from '../../../../converters/onnx/codec.ts'
import { full } from '../../../data.ts'
import { expectSame } from '../models.ts'

const { layers } = tf
const numRuns = full ? 200 : 25

const window = fc.record({
  height: fc.integer({ min: 5, max: 12 }),
  width: fc.integer({ min: 5, max: 12 }),
  channels: fc.integer({ min: 1, max: 3 }),
  kernel: fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })),
  strides: fc.integer({ min: 1, max: 3 }),
  padding: fc.constantFrom('same' as const, 'valid' as const),
})

const model = (shape: number[], layer: tf.layers.Layer): tf.LayersModel => {
  const input = tf.input({ shape })
  return tf.model({ inputs: input, outputs: layer.apply(input) as tf.SymbolicTensor })
}

describe('windows over images of any size', () => {
  it('convolutions, with dilation where strides allow it', async () => {
    await fc.assert(
      fc.asyncProperty(window, fc.integer({ min: 1, max: 2 }), async (w, dilation) => {
        const dilationRate = w.strides > 1 || (Math.max(...w.kernel) - 1) * dilation >= 5 ? 1 : dilation
        const layer = layers.conv2d({ ...w, filters: 2, kernelSize: w.kernel, dilationRate })
        await expectSame(model([w.height, w.width, w.channels], layer))
      }),
      { numRuns },
    )
  })

  it('depthwise convolutions', async () => {
    await fc.assert(
      fc.asyncProperty(window, fc.integer({ min: 1, max: 3 }), async (w, depthMultiplier) => {
        const layer = layers.depthwiseConv2d({ ...w, kernelSize: w.kernel, depthMultiplier })
        await expectSame(model([w.height, w.width, w.channels], layer))
      }),
      { numRuns },
    )
  })

  it('pooling, both kinds', async () => {
    await fc.assert(
      fc.asyncProperty(
        window,
        fc.boolean(),
        async ({ height, width, channels, kernel, strides, padding }, max) => {
          const settings = { poolSize: kernel, strides: [strides, strides] as [number, number], padding }
          const layer = max ? layers.maxPooling2d(settings) : layers.averagePooling2d(settings)
          await expectSame(model([height, width, channels], layer))
        },
      ),
      { numRuns },
    )
  })

  it('transposed convolutions', async () => {
    await fc.assert(
      fc.asyncProperty(window, async (w) => {
        const layer = layers.conv2dTranspose({ ...w, filters: 2, kernelSize: w.kernel })
        await expectSame(model([w.height, w.width, w.channels], layer))
      }),
      { numRuns },
    )
  })

  it('zero padding that the convolution behind it takes over', async () => {
    const pads = fc.tuple(fc.nat(3), fc.nat(3))
    await fc.assert(
      fc.asyncProperty(window, pads, pads, async (w, rows, columns) => {
        const input = tf.input({ shape: [w.height, w.width, w.channels] })
        const padded = layers.zeroPadding2d({ padding: [rows, columns] }).apply(input)
        const layer = layers.conv2d({ ...w, filters: 2, kernelSize: w.kernel })
        const { model: result } = await expectSame(
          tf.model({ inputs: input, outputs: layer.apply(padded) as tf.SymbolicTensor }),
        )
        const count = result.graph.nodes.filter(({ opType }) => opType === 'Pad').length
        if (count > 0) throw new Error(`${count} Pad nodes are left`)
      }),
      { numRuns },
    )
  })

  it('zero padding before a maximum, also where onnxruntime optimises as it does by default', async () => {
    for (const padding of ['same', 'valid'] as const) {
      const input = tf.input({ shape: [6, 5, 2] })
      const padded = layers.zeroPadding2d({ padding: [2, 1] }).apply(input)
      const pool = layers.maxPooling2d({ poolSize: 3, strides: 2, padding })
      const original = tf.model({ inputs: input, outputs: pool.apply(padded) as tf.SymbolicTensor })
      const { model: result } = await expectSame(original, { layout: 'nchw' })
      const session = await InferenceSession.create(encodeModel(result))
      const x = new Tensor('float32', new Float32Array(60).fill(-1), [1, 2, 6, 5])
      const y = (await session.run({ [session.inputNames[0]!]: x }))[session.outputNames[0]!]!
      await session.release()
      const expected = original.predict(tf.fill([1, 6, 5, 2], -1)) as tf.Tensor
      const values = expected.transpose([0, 3, 1, 2]).dataSync()
      expect(new Set(values)).toEqual(new Set([0, -1]))
      expect(Array.from(y.data as Float32Array, (value) => Math.fround(value + 1) - 1)).toEqual([...values])
    }
  })
})
