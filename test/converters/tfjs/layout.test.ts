import * as tf from '@tensorflow/tfjs'
import { describe, expect, it } from 'vitest'
import { expectSame, operators } from './models.ts'

const { layers } = tf
const apply = (layer: tf.layers.Layer, ...inputs: tf.SymbolicTensor[]): tf.SymbolicTensor =>
  layer.apply(inputs.length === 1 ? inputs[0]! : inputs) as tf.SymbolicTensor
const relu = (x: tf.SymbolicTensor): tf.SymbolicTensor => apply(layers.reLU(), x)
const conv = (x: tf.SymbolicTensor, filters: number, strides = 1): tf.SymbolicTensor => {
  const y = apply(layers.conv2d({ filters, kernelSize: 3, strides, padding: 'same', useBias: false }), x)
  return apply(layers.batchNormalization({}), y)
}

describe('transposes', () => {
  it('a residual network has one, at its image', async () => {
    const input = tf.input({ shape: [16, 16, 3] })
    const stem = relu(conv(input, 4, 2))
    const block = relu(apply(layers.add(), conv(relu(conv(stem, 4)), 4), stem))
    const down = relu(apply(layers.add(), conv(relu(conv(block, 6, 2)), 6), conv(block, 6, 2)))
    const logits = apply(layers.dense({ units: 3 }), apply(layers.globalAveragePooling2d({}), down))
    const conversion = await expectSame(tf.model({ inputs: input, outputs: logits }))
    expect(operators(conversion)).toEqual({
      Transpose: 1,
      Conv: 6,
      Relu: 5,
      Add: 2,
      GlobalAveragePool: 1,
      Flatten: 1,
      Gemm: 1,
    })
  })

  it('padding, concatenation, squeeze and excitation and upsampling need none of their own', async () => {
    const input = tf.input({ shape: [8, 8, 3] })
    const x = relu(conv(apply(layers.zeroPadding2d({ padding: 1 }), input), 4, 2))
    const pooled = apply(
      layers.reshape({ targetShape: [1, 1, 4] }),
      apply(layers.globalAveragePooling2d({}), x),
    )
    const gate = apply(layers.conv2d({ filters: 4, kernelSize: 1, activation: 'sigmoid' }), pooled)
    const excited = apply(layers.multiply(), x, gate)
    const joined = apply(
      layers.concatenate(),
      excited,
      apply(layers.maxPooling2d({ poolSize: 3, strides: 1, padding: 'same' }), x),
    )
    const larger = apply(layers.upSampling2d({}), joined)
    const conversion = await expectSame(
      tf.model({ inputs: input, outputs: apply(layers.globalMaxPooling2d({}), larger) }),
    )
    const { Transpose, Pad } = operators(conversion)
    expect({ Transpose, Pad }).toEqual({ Transpose: 1, Pad: undefined })
  })

  it('a grey image needs none: it lies the same way in both layouts', async () => {
    const model = tf.sequential({
      layers: [
        layers.conv2d({ inputShape: [8, 8, 1], filters: 3, kernelSize: 3 }),
        layers.globalAveragePooling2d({}),
      ],
    })
    expect(operators(await expectSame(model)).Transpose).toBeUndefined()
  })

  it('a flattening has one, so that the dense layer behind it finds its order', async () => {
    const model = tf.sequential({
      layers: [
        layers.conv2d({ inputShape: [8, 8, 3], filters: 3, kernelSize: 3 }),
        layers.flatten(),
        layers.dense({ units: 2 }),
      ],
    })
    expect(operators(await expectSame(model)).Transpose).toBe(2)
    expect(operators(await expectSame(model, { layout: 'nchw' })).Transpose).toBe(1)
  })
})

describe('batch normalisation', () => {
  it('is folded into the convolution before it', async () => {
    const input = tf.input({ shape: [6, 6, 3] })
    const conversion = await expectSame(tf.model({ inputs: input, outputs: conv(input, 4) }))
    expect(operators(conversion)).toEqual({ Transpose: 2, Conv: 1 })
  })
})
