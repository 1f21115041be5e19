import * as tf from '@tensorflow/tfjs'
import { describe, expect, it } from 'vitest'
import { openSession } from '../../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { convertTfjs } from '../../../../converters/tfjs/convert.ts'
import { LAYERS } from '../../../../converters/tfjs/layers/lower.ts'
import { readTfjs } from '../../../../converters/tfjs/read.ts'
import { expectSame, randomised, saved } from '../models.ts'

type Layer = tf.layers.Layer
type Build = () => tf.LayersModel

/** A model of one layer. */
const single =
  (inputShape: number[], layer: () => Layer): Build =>
  () => {
    const input = tf.input({ shape: inputShape })
    return tf.model({ inputs: input, outputs: layer().apply(input) as tf.SymbolicTensor })
  }

/** A model of one layer over several inputs. */
const joining =
  (shapes: number[][], layer: () => Layer): Build =>
  () => {
    const inputs = shapes.map((shape) => tf.input({ shape }))
    return tf.model({ inputs, outputs: layer().apply(inputs) as tf.SymbolicTensor })
  }

const { layers } = tf
const image = [7, 6, 3]
const planes = [3, 7, 6]

/** Every layer class that can be converted, with settings that make a difference. */
const CASES: Record<string, Record<string, Build>> = {
  Conv1D: {
    same: single([9, 3], () =>
      layers.conv1d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu' }),
    ),
    dilated: single([9, 3], () =>
      layers.conv1d({ filters: 2, kernelSize: 3, dilationRate: 2, useBias: false }),
    ),
  },
  Conv2D: {
    valid: single(image, () => layers.conv2d({ filters: 4, kernelSize: [3, 2], strides: [2, 1] })),
    same: single(image, () =>
      layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', activation: 'elu' }),
    ),
    'channels first': single(planes, () =>
      layers.conv2d({ filters: 4, kernelSize: 3, padding: 'same', dataFormat: 'channelsFirst' }),
    ),
  },
  Conv3D: {
    same: single([4, 5, 6, 2], () =>
      layers.conv3d({ filters: 3, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu' }),
    ),
  },
  Conv2DTranspose: {
    'valid, kernel above stride': single([4, 5, 3], () =>
      layers.conv2dTranspose({ filters: 2, kernelSize: 4, strides: 2 }),
    ),
    'valid, stride above kernel': single([4, 5, 3], () =>
      layers.conv2dTranspose({ filters: 2, kernelSize: 2, strides: 3 }),
    ),
    same: single([4, 5, 3], () =>
      layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same', activation: 'tanh' }),
    ),
  },
  Conv3DTranspose: {
    same: single([2, 3, 4, 2], () =>
      layers.conv3dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
    ),
  },
  DepthwiseConv2D: {
    same: single(image, () =>
      layers.depthwiseConv2d({
        kernelSize: 3,
        strides: 2,
        depthMultiplier: 2,
        padding: 'same',
        activation: 'relu6',
      }),
    ),
    'channels first': single(planes, () =>
      layers.depthwiseConv2d({ kernelSize: 3, dataFormat: 'channelsFirst' }),
    ),
  },
  SeparableConv2D: {
    same: single(image, () =>
      layers.separableConv2d({
        filters: 5,
        kernelSize: 3,
        padding: 'same',
        activation: 'selu',
      }),
    ),
  },
  MaxPooling1D: {
    same: single([9, 3], () => layers.maxPooling1d({ poolSize: 3, strides: 2, padding: 'same' })),
  },
  MaxPooling2D: {
    valid: single(image, () => layers.maxPooling2d({ poolSize: 2 })),
    same: single(image, () => layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' })),
    'channels first': single(planes, () => layers.maxPooling2d({ poolSize: 2, dataFormat: 'channelsFirst' })),
  },
  MaxPooling3D: { valid: single([4, 5, 6, 2], () => layers.maxPooling3d({ poolSize: [2, 2, 2] })) },
  AveragePooling1D: {
    same: single([9, 3], () => layers.averagePooling1d({ poolSize: 3, strides: 2, padding: 'same' })),
  },
  AveragePooling2D: {
    same: single(image, () => layers.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' })),
  },
  AveragePooling3D: { valid: single([4, 5, 6, 2], () => layers.averagePooling3d({ poolSize: [2, 2, 2] })) },
  GlobalMaxPooling1D: { plain: single([9, 3], () => layers.globalMaxPooling1d({})) },
  GlobalMaxPooling2D: { plain: single(image, () => layers.globalMaxPooling2d({})) },
  GlobalAveragePooling1D: { plain: single([9, 3], () => layers.globalAveragePooling1d({})) },
  GlobalAveragePooling2D: {
    plain: single(image, () => layers.globalAveragePooling2d({})),
    'channels first': single(planes, () => layers.globalAveragePooling2d({ dataFormat: 'channelsFirst' })),
  },
  BatchNormalization: {
    image: single(image, () => layers.batchNormalization({ epsilon: 0.01 })),
    vector: single([5], () => layers.batchNormalization({})),
    'without scale and centre': single(image, () =>
      layers.batchNormalization({ scale: false, center: false }),
    ),
  },
  LayerNormalization: {
    'last axis': single([6, 5], () => layers.layerNormalization({})),
    'all axes': single([4, 3, 2], () => layers.layerNormalization({ axis: [1, 2, 3], center: false })),
  },
  Rescaling: {
    plain: single(image, () =>
      (layers as unknown as { rescaling(args: object): Layer }).rescaling({ scale: 1 / 127.5, offset: -1 }),
    ),
  },
  Dense: {
    vector: single([5], () => layers.dense({ units: 4, activation: 'sigmoid' })),
    matrix: single([3, 5], () => layers.dense({ units: 4, activation: 'softmax' })),
    'without bias': single([5], () => layers.dense({ units: 4, useBias: false })),
  },
  Flatten: {
    image: single(image, () => layers.flatten()),
    'channels first': single(planes, () => layers.flatten({ dataFormat: 'channelsFirst' })),
  },
  Reshape: {
    plain: single([12], () => layers.reshape({ targetShape: [2, 3, 2] })),
    'one side left open': single(image, () => layers.reshape({ targetShape: [-1, 9] })),
  },
  Permute: { plain: single([2, 3, 4], () => layers.permute({ dims: [3, 1, 2] })) },
  RepeatVector: { plain: single([4], () => layers.repeatVector({ n: 3 })) },
  Dropout: { plain: single([4], () => layers.dropout({ rate: 0.5 })) },
  SpatialDropout1D: { plain: single([4, 2], () => layers.spatialDropout1d({ rate: 0.5 })) },
  GaussianNoise: { plain: single([4], () => layers.gaussianNoise({ stddev: 1 })) },
  GaussianDropout: { plain: single([4], () => layers.gaussianDropout({ rate: 0.5 })) },
  AlphaDropout: { plain: single([4], () => layers.alphaDropout({ rate: 0.5 })) },
  ZeroPadding2D: {
    'four sides': single(image, () =>
      layers.zeroPadding2d({
        padding: [
          [1, 2],
          [0, 3],
        ],
      }),
    ),
    'channels first': single(planes, () =>
      layers.zeroPadding2d({ padding: [1, 2], dataFormat: 'channelsFirst' }),
    ),
  },
  Cropping2D: {
    'four sides': single(image, () =>
      layers.cropping2D({
        cropping: [
          [1, 2],
          [0, 3],
        ],
      }),
    ),
    'channels first': single(planes, () =>
      layers.cropping2D({ cropping: [1, 1], dataFormat: 'channelsFirst' }),
    ),
  },
  UpSampling2D: {
    nearest: single(image, () => layers.upSampling2d({ size: [2, 3] })),
    bilinear: single(image, () => layers.upSampling2d({ size: [3, 2], interpolation: 'bilinear' })),
    'channels first': single(planes, () =>
      layers.upSampling2d({ size: [2, 2], dataFormat: 'channelsFirst' }),
    ),
  },
  Activation: Object.fromEntries(
    [
      ...['linear', 'relu', 'relu6', 'elu', 'selu', 'sigmoid', 'hardSigmoid', 'softplus', 'softsign', 'tanh'],
      ...['softmax', 'logSoftmax', 'gelu', 'mish', 'swish'],
    ].map((name) => [name, single([6], () => layers.activation({ activation: name as 'relu' }))]),
  ),
  ReLU: {
    plain: single([6], () => layers.reLU()),
    limited: single([6], () => layers.reLU({ maxValue: 0.5 })),
  },
  LeakyReLU: { plain: single([6], () => layers.leakyReLU({ alpha: 0.1 })) },
  PReLU: {
    shared: single(image, () => layers.prelu({ sharedAxes: [1, 2] })),
    'for every pixel': single(image, () => layers.prelu()),
  },
  ELU: { plain: single([6], () => layers.elu()) },
  ThresholdedReLU: { plain: single([6], () => layers.thresholdedReLU({ theta: 0.3 })) },
  Softmax: {
    vector: single([4], () => layers.softmax()),
    image: single(image, () => layers.softmax({ axis: -1 })),
  },
  Add: {
    three: joining([image, image, image], () => layers.add()),
    'fewer axes': joining([[4, 3], [3]], () => layers.add()),
  },
  Multiply: { 'squeeze and excite': joining([image, [1, 1, 3]], () => layers.multiply()) },
  Average: { three: joining([[4], [4], [4]], () => layers.average()) },
  Maximum: { two: joining([[4], [4]], () => layers.maximum()) },
  Minimum: { two: joining([[4], [4]], () => layers.minimum()) },
  Concatenate: {
    channels: joining([image, [7, 6, 2]], () => layers.concatenate()),
    rows: joining([image, [2, 6, 3]], () => layers.concatenate({ axis: 1 })),
  },
  Dot: {
    vectors: joining([[4], [4]], () => layers.dot({ axes: 1, normalize: true })),
    matrices: joining(
      [
        [3, 4],
        [5, 4],
      ],
      () => layers.dot({ axes: 2 }),
    ),
  },
}

describe('every layer class computes what tfjs computes', () => {
  for (const [className, cases] of Object.entries(CASES))
    for (const [name, build] of Object.entries(cases))
      it(`${className}, ${name}`, async () => {
        await expectSame(build())
      })

  /** tfjs's cpu and wasm kernels take a channels-first normalisation along the last axis; WebGL is right. */
  it('BatchNormalization, channels first, computes what its transposition computes', async () => {
    const input = tf.input({ shape: planes })
    const normalised = randomised(
      tf.model({
        inputs: input,
        outputs: layers.batchNormalization({ axis: 1, epsilon: 0.01 }).apply(input) as tf.SymbolicTensor,
      }),
    )
    const { model } = convertTfjs(await readTfjs(await saved(normalised)))
    const x = tf.randomNormal<tf.Rank.R4>([2, 3, 7, 6], 0, 1, 'float32', 5)
    const [gamma, beta, mean, variance] = normalised.getWeights() as tf.Tensor1D[]
    const expected = tf
      .batchNorm4d(x.transpose([0, 2, 3, 1]), mean!, variance!, beta!, gamma!, 0.01)
      .transpose([0, 3, 1, 2])
    const session = await openSession(model)
    const feed = Tensor.float32([2, 3, 7, 6], (await x.data()) as Float32Array)
    const results = await session.run({ [model.graph.inputs[0]!.name]: feed })
    await session.release()
    const actual = tf.tensor(results[model.graph.outputs[0]!.name]!.floats, [2, 3, 7, 6])
    expect(tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0]).toBeLessThan(1e-5)
  })

  it('leaves no class untried', () => {
    expect(Object.keys(CASES).sort()).toEqual(Object.keys(LAYERS).sort())
  })
})
