import { readFile, writeFile } from 'node:fs/promises'
import * as tf from '@tensorflow/tfjs'
import { describe, expect, it } from 'vitest'
import { converted, expectSame, operators, randomised, saved } from '../models.ts'

const { layers } = tf

type Json = Record<string, unknown>

/** Saves a model and rewrites its model.json. */
async function rewritten(model: tf.LayersModel, change: (json: Json) => void): Promise<string> {
  const path = await saved(randomised(model))
  const json = JSON.parse(await readFile(path, 'utf8')) as Json
  change(json)
  await writeFile(path, JSON.stringify(json))
  return path
}

const apply = (layer: tf.layers.Layer, ...inputs: tf.SymbolicTensor[]): tf.SymbolicTensor =>
  layer.apply(inputs.length === 1 ? inputs[0]! : inputs) as tf.SymbolicTensor

describe('topologies', () => {
  it('a Sequential model', async () => {
    const model = tf.sequential({
      layers: [
        layers.conv2d({ inputShape: [8, 8, 3], filters: 4, kernelSize: 3, activation: 'relu' }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.flatten(),
        layers.dense({ units: 5, activation: 'softmax' }),
      ],
    })
    const { model: result } = await expectSame(model)
    expect(result.graph.outputs[0]!.dims).toEqual(['N', 5])
  })

  it('a residual network with two heads', async () => {
    const input = tf.input({ shape: [8, 8, 3], name: 'image' })
    const stem = apply(layers.conv2d({ filters: 4, kernelSize: 3, padding: 'same' }), input)
    const inner = apply(layers.activation({ activation: 'relu' }), apply(layers.batchNormalization({}), stem))
    const joined = apply(layers.add(), stem, inner)
    const pooled = apply(layers.globalAveragePooling2d({}), joined)
    const classes = apply(layers.dense({ units: 3, name: 'classes' }), pooled)
    const { model } = await expectSame(tf.model({ inputs: input, outputs: [classes, joined] }))
    expect(model.graph.inputs.map(({ name }) => name)).toEqual(['image'])
    expect(model.graph.outputs[0]!.name).toBe('classes')
    expect(model.graph.outputs[1]!.dims).toEqual(['N', 8, 8, 4])
  })

  it('a layer that is used twice, with one weight in the file', async () => {
    const a = tf.input({ shape: [4] })
    const b = tf.input({ shape: [4] })
    const shared = layers.dense({ units: 3, name: 'shared' })
    const model = tf.model({
      inputs: [a, b],
      outputs: apply(layers.add(), apply(shared, a), apply(shared, b)),
    })
    const { model: result } = await expectSame(model)
    expect([...result.graph.initializers.keys()].sort()).toEqual(['shared/bias', 'shared/kernel'])
  })

  it('a layer that gives two outputs', async () => {
    const inputs = [tf.input({ shape: [4] }), tf.input({ shape: [4] })]
    const shared = layers.dense({ units: 3, name: 'shared' })
    const model = tf.model({ inputs, outputs: inputs.map((input) => apply(shared, input)) })
    const { model: result } = await expectSame(model)
    expect(result.graph.outputs.map(({ name }) => name)).toEqual(['shared', 'shared_1'])
  })

  it('models used as layers, Sequential and functional, called twice', async () => {
    const inner = tf.input({ shape: [6] })
    const functional = tf.model({ inputs: inner, outputs: apply(layers.dense({ units: 6 }), inner) })
    const chain = tf.sequential({ layers: [layers.dense({ units: 4, inputShape: [6] }), layers.reLU()] })
    const input = tf.input({ shape: [6] })
    const once = apply(functional, input)
    const twice = apply(functional, once)
    await expectSame(
      tf.model({ inputs: input, outputs: apply(layers.add(), apply(chain, twice), apply(chain, once)) }),
    )
  })

  it('a Sequential of models, as transfer learning makes it', async () => {
    const inner = tf.input({ shape: [8, 8, 3] })
    const features = tf.model({
      inputs: inner,
      outputs: apply(
        layers.globalMaxPooling2d({}),
        apply(layers.conv2d({ filters: 4, kernelSize: 3 }), inner),
      ),
    })
    const head = tf.sequential({
      layers: [layers.dense({ units: 2, inputShape: [4], activation: 'softmax' })],
    })
    await expectSame(tf.sequential({ layers: [features, head] }))
  })

  it('one output of several, by name', async () => {
    const input = tf.input({ shape: [4] })
    const outputs = ['a', 'b'].map((name) => apply(layers.dense({ units: 2, name }), input))
    const model = tf.model({ inputs: input, outputs })
    const { model: result } = await expectSame(model, { outputs: ['b'] })
    expect(result.graph.outputs.map(({ name }) => name)).toEqual(['b'])
    await expect(expectSame(model, { outputs: ['c'] })).rejects.toMatchObject({
      code: 'not-found',
      hint: 'its outputs are a, b',
    })
  })
})

describe('forms of the same topology', () => {
  const small = (): tf.LayersModel => {
    const input = tf.input({ shape: [6, 6, 2], name: 'image' })
    const a = apply(layers.conv2d({ filters: 3, kernelSize: 3, name: 'conv' }), input)
    const b = apply(layers.reLU({ name: 'relu' }), a)
    return tf.model({ inputs: input, outputs: apply(layers.add({ name: 'sum' }), a, b) })
  }

  it('Keras 3: batch_shape, policies, tensors as arguments, and the model in the names of weights', async () => {
    const path = await rewritten(small(), (json) => {
      const topology = json.modelTopology as { config: Json & { layers: Json[] } }
      const { config } = topology
      config.input_layers = ['image', 0, 0]
      config.output_layers = ['sum', 0, 0]
      for (const layer of config.layers) {
        const settings = layer.config as Json
        if (settings.batch_input_shape) {
          settings.batch_shape = settings.batch_input_shape
          delete settings.batch_input_shape
        }
        settings.dtype = { module: 'keras', class_name: 'DTypePolicy', config: { name: 'float32' } }
        const tensor = ([name, call, output]: unknown[]): Json => ({
          class_name: '__keras_tensor__',
          config: { shape: [null, 4, 4, 3], dtype: 'float32', keras_history: [name, call, output] },
        })
        layer.inbound_nodes = (layer.inbound_nodes as unknown[][][]).map((node) => ({
          args: node.length === 1 ? [tensor(node[0]!)] : [node.map(tensor)],
          kwargs: {},
        }))
      }
      const [group] = json.weightsManifest as { weights: { name: string }[] }[]
      for (const weight of group!.weights) weight.name = `functional/${weight.name}`
    })
    expect((await converted(path)).parity.passed).toBe(true)
  })

  it('Keras 3: its names for what had others before', async () => {
    const model = tf.sequential({
      layers: [
        layers.depthwiseConv2d({ inputShape: [6, 6, 2], kernelSize: 3, activation: 'swish', name: 'each' }),
        layers.leakyReLU({ alpha: 0.1 }),
      ],
    })
    const path = await rewritten(model, (json) => {
      const { config } = json.modelTopology as { config: { layers: { config: Json }[] } }
      const [each, leaky] = config.layers.slice(-2)
      each!.config.activation = 'silu'
      leaky!.config.negative_slope = leaky!.config.alpha
      delete leaky!.config.alpha
      const [group] = json.weightsManifest as { weights: { name: string }[] }[]
      for (const weight of group!.weights)
        weight.name = `sequential/${weight.name.replace('depthwise_kernel', 'kernel')}`
    })
    expect((await converted(path)).parity.passed).toBe(true)
  })

  it('references that are not in a list', async () => {
    const path = await rewritten(small(), (json) => {
      const { config } = json.modelTopology as { config: Json & { layers: Json[] } }
      config.input_layers = (config.input_layers as unknown[])[0]
      const conv = config.layers.find(({ name }) => name === 'conv')!
      conv.inbound_nodes = (conv.inbound_nodes as unknown[])[0]
    })
    expect((await converted(path)).parity.passed).toBe(true)
  })

  it('a whole Keras model, with the network under model_config, and no format', async () => {
    const path = await rewritten(small(), (json) => {
      json.modelTopology = { keras_version: '2.2.4', backend: 'tensorflow', model_config: json.modelTopology }
      delete json.format
    })
    expect((await converted(path)).parity.passed).toBe(true)
  })

  it('a Sequential whose configuration is the list of its layers', async () => {
    const model = tf.sequential({ layers: [layers.dense({ units: 2, inputShape: [3] }), layers.reLU()] })
    const path = await rewritten(model, (json) => {
      const topology = json.modelTopology as { config: { layers: unknown[] } }
      ;(topology as Json).config = topology.config.layers
    })
    expect((await converted(path)).parity.passed).toBe(true)
  })
})

describe('what the file fixes', () => {
  const anySize = (): tf.LayersModel => {
    const input = tf.input({ shape: [null, null, 3] as unknown as number[] })
    const features = apply(layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same' }), input)
    return tf.model({ inputs: input, outputs: apply(layers.globalAveragePooling2d({}), features) })
  }

  it('asks for a size that the model leaves open', async () => {
    await expect(expectSame(anySize())).rejects.toMatchObject({
      code: 'usage',
      hint: 'say which: --size HEIGHTxWIDTH',
    })
    const { model } = await expectSame(anySize(), { size: [9, 12], batch: 3 })
    expect(model.graph.inputs[0]!.dims).toEqual([3, 9, 12, 3])
  })

  it('takes and gives images with channels first, if asked', async () => {
    const model = tf.sequential({
      layers: [layers.conv2d({ inputShape: [6, 5, 3], filters: 4, kernelSize: 3, activation: 'relu' })],
    })
    const conversion = await expectSame(model, { layout: 'nchw' })
    expect(conversion.model.graph.inputs[0]!.dims).toEqual(['N', 3, 6, 5])
    expect(conversion.model.graph.outputs[0]!.dims).toEqual(['N', 4, 4, 3])
    expect(operators(conversion)).toEqual({ Conv: 1, Relu: 1 })
  })
})

describe('what cannot be converted', () => {
  it('is named all at once', async () => {
    const model = tf.sequential({
      layers: [
        layers.embedding({ inputDim: 9, outputDim: 4, inputLength: 5, name: 'words' }),
        layers.lstm({ units: 3, returnSequences: true, name: 'first' }),
        layers.lstm({ units: 3, name: 'second' }),
        layers.dense({ units: 2 }),
      ],
    })
    await expect(expectSame(model)).rejects.toMatchObject({
      code: 'unsupported-model',
      message:
        'the model cannot be converted: layer class Embedding (words); layer class LSTM (first, second)',
    })
  })

  it('is a setting that tfjs does not heed', async () => {
    const model = tf.sequential({ layers: [layers.reLU({ inputShape: [3], name: 'leaky' })] })
    const path = await rewritten(model, (json) => {
      const { config } = json.modelTopology as { config: { layers: { config: Json }[] } }
      config.layers.at(-1)!.config.negative_slope = 0.1
    })
    await expect(converted(path)).rejects.toMatchObject({
      code: 'unsupported-model',
      message: 'the model cannot be converted: negative_slope = 0.1, which tfjs does not heed (ReLU leaky)',
    })
  })

  it('is a dilation that tfjs does not heed', async () => {
    const layer = layers.depthwiseConv2d({
      inputShape: [6, 6, 2],
      kernelSize: 2,
      dilationRate: 2,
      name: 'each',
    })
    await expect(expectSame(tf.sequential({ layers: [layer] }))).rejects.toMatchObject({
      code: 'unsupported-model',
      message:
        'the model cannot be converted: dilation_rate = [2,2], which tfjs does not heed (DepthwiseConv2D each)',
    })
  })

  it('cannot be compared where tfjs itself cannot run it', async () => {
    const model = tf.sequential({ layers: [layers.softmax({ inputShape: [3, 2], axis: 1 })] })
    await expect(expectSame(model)).rejects.toMatchObject({
      code: 'unsupported-model',
      message: expect.stringMatching(/^tfjs itself cannot run the original: /),
      hint: expect.stringContaining('--no-parity'),
    })
  })

  it('is an activation that tfjs does not know', async () => {
    const model = tf.sequential({ layers: [layers.dense({ units: 2, inputShape: [3], name: 'head' })] })
    const path = await rewritten(model, (json) => {
      const { config } = json.modelTopology as { config: { layers: { config: Json }[] } }
      config.layers.at(-1)!.config.activation = 'my_own'
    })
    await expect(converted(path)).rejects.toMatchObject({
      code: 'unsupported-model',
      message: 'the model cannot be converted: activation "my_own" (Dense head)',
    })
  })
})
