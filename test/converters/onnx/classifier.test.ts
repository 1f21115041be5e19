import { describe, expect, test } from 'vitest'
import { type AttributeValues, GraphBuilder } from '../../../converters/onnx/builder.ts'
import { type Classifier, prepareClassifier } from '../../../converters/onnx/classifier.ts'
import { lossGradient } from '../../../converters/onnx/gradient/loss-gradient.ts'
import { selfTest } from '../../../converters/onnx/gradient/self-test.ts'
import { emptyGraph, type Model } from '../../../converters/onnx/graph.ts'
import { dataTypeCode, Tensor } from '../../../converters/onnx/tensor.ts'
import { normals } from '../../../converters/perturb/random.ts'
import { type InputDescription, inputSchema } from '../../../manifests/schema/input.ts'
import { images, run, tinyClassifier } from './tiny.ts'

const described = (input: Partial<InputDescription>): InputDescription => inputSchema.parse(input)

const logitsOf = async (classifier: Classifier, x: Tensor = images): Promise<number[]> =>
  (await run(classifier.model, { [classifier.image]: x })).logits!.numbers

/** What the plain network gives for the images. */
const plain = async (): Promise<number[]> => logitsOf(await prepareClassifier(tinyClassifier()))

function expectClose(computed: readonly number[], known: readonly number[], digits = 4): void {
  expect(computed.length).toBe(known.length)
  for (const [i, value] of known.entries()) expect(computed[i]).toBeCloseTo(value, digits)
}

describe('the prepared model', () => {
  test('keeps the name and shape of its input without a description', async () => {
    const classifier = await prepareClassifier(tinyClassifier({ input: 'pixels' }))
    expect(classifier).toMatchObject({
      image: 'pixels',
      shape: [3, 4, 4],
      classes: 4,
      batch: null,
      outputKind: 'logits',
    })
    expect(classifier.model.graph.outputs.map(({ name }) => name)).toEqual(['logits'])
  })

  test('is pruned of what the logits do not need', async () => {
    const model = tinyClassifier()
    const dead = new GraphBuilder(model.graph).op('Exp', [model.graph.nodes[0]!.outputs[0]!])
    const { graph } = (await prepareClassifier(model)).model
    expect(graph.nodes.some((node) => node.outputs.includes(dead))).toBe(false)
  })

  test('frees the names that gradient graphs use', async () => {
    const model = tinyClassifier({
      tail: (b, logits) => b.op('Identity', [logits], {}, { outputs: ['loss'] }),
    })
    const gradient = await lossGradient(await prepareClassifier(model), { loss: 'ce' })
    const out = await run(gradient, { input: images, label: Tensor.int64([2], [0, 1]) })
    expect(out.loss!.dims).toEqual([2])
  })
})

describe('preprocessing', () => {
  /** The network behind its own inverse preprocessing gives the plain network's logits for images in [0,1]. */
  const cases: readonly (readonly [
    string,
    Parameters<typeof tinyClassifier>[0],
    Partial<InputDescription>,
  ])[] = [
    ['range 0,255', { head: (b, x) => b.op('Div', [x, b.scalar(255)]) }, { range: [0, 255] }],
    [
      'range -1,1',
      { head: (b, x) => b.op('Div', [b.op('Add', [x, b.scalar(1)]), b.scalar(2)]) },
      { range: [-1, 1] },
    ],
    [
      'mean and std per channel',
      {
        head: (b, x) =>
          b.op('Add', [
            b.op('Mul', [x, b.floats([1, 3, 1, 1], [0.2, 0.3, 0.4])]),
            b.floats([1, 3, 1, 1], [0.5, 0.6, 0.7]),
          ]),
      },
      { mean: [0.5, 0.6, 0.7], std: [0.2, 0.3, 0.4] },
    ],
    [
      'bgr in 0..255 with a mean, in that order',
      {
        head: (b, x) => {
          const shifted = b.op('Add', [x, b.floats([1, 3, 1, 1], [104, 117, 123])])
          return b.op('Div', [b.op('Gather', [shifted, b.int64s([2, 1, 0])], { axis: 1 }), b.scalar(255)])
        },
      },
      { range: [0, 255], channels: 'bgr', mean: [104, 117, 123] },
    ],
    [
      'nhwc',
      { dims: ['N', 4, 4, 3], head: (b, x) => b.op('Transpose', [x], { perm: [0, 3, 1, 2] }) },
      { layout: 'nhwc' },
    ],
    [
      'flat',
      { dims: ['N', 48, 1], head: (b, x) => b.op('Reshape', [x, b.int64s([-1, 3, 4, 4])]) },
      { layout: 'flat' },
    ],
    ['an open image size', { dims: ['N', 3, 'H', 'W'] }, { size: [4, 4] }],
    [
      'uint8 input: its Cast does nothing',
      {
        dtype: 'uint8',
        head: (b, x) => b.op('Div', [b.op('Cast', [x], { to: dataTypeCode('float32') }), b.scalar(255)]),
      },
      { range: [0, 255] },
    ],
    [
      'float64 input',
      { dtype: 'float64', head: (b, x) => b.op('Cast', [x], { to: dataTypeCode('float32') }) },
      {},
    ],
  ]
  test.each(cases)('%s', async (_, model, description) => {
    const classifier = await prepareClassifier(tinyClassifier(model), { input: described(description) })
    expect(classifier).toMatchObject({ image: 'image', shape: [3, 4, 4] })
    expectClose(await logitsOf(classifier), await plain())
  })

  test('an image without a batch axis is a batch of one', async () => {
    const model = tinyClassifier({
      dims: [3, 4, 4],
      head: (b, x) => b.op('Unsqueeze', [x, b.int64s([0])]),
      outputDims: [1, 4],
    })
    const classifier = await prepareClassifier(model, { input: described({}) })
    expect(classifier.batch).toBe(1)
    const first = Tensor.float32([1, 3, 4, 4], images.floats.slice(0, 48))
    expectClose(await logitsOf(classifier, first), (await plain()).slice(0, 4))
  })

  test('what does not fit is refused with what to do', async () => {
    const refused = (options: Parameters<typeof tinyClassifier>[0], input: Partial<InputDescription>) =>
      expect(prepareClassifier(tinyClassifier(options), { input: described(input) })).rejects
    await refused({ dims: ['N', 4, 4, 3] }, {}).toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('nhwc'),
    })
    await refused({ dims: ['N', 3, 'H', 'W'] }, {}).toMatchObject({ hint: expect.stringContaining('--size') })
    await refused({}, { size: [8, 8] }).toMatchObject({ code: 'usage' })
    await refused({}, { mean: [1, 2] }).toMatchObject({ code: 'usage' })
    await refused({ dims: ['N', 47] }, { layout: 'flat' }).toMatchObject({ code: 'usage' })
  })
})

describe('output kind', () => {
  const softmaxes: readonly (readonly [string, (b: GraphBuilder, z: string) => string])[] = [
    ['Softmax', (b, z) => b.op('Softmax', [z], { axis: 1 })],
    [
      'Softmax behind a reshape',
      (b, z) => b.op('Reshape', [b.op('Softmax', [z], { axis: 1 }), b.int64s([-1, 4])]),
    ],
  ]
  test.each(softmaxes)('%s is left out, and the logits are attacked', async (_, tail) => {
    const classifier = await prepareClassifier(tinyClassifier({ tail }))
    expect(classifier).toMatchObject({ outputKind: 'probabilities', logarithm: false })
    expectClose(await logitsOf(classifier), await plain())
  })

  test('probabilities without a Softmax are recognised, and their logarithm taken', async () => {
    const tail = (b: GraphBuilder, z: string): string => {
      const e = b.op('Exp', [z])
      return b.op('Div', [e, b.op('ReduceSum', [e, b.int64s([1])])])
    }
    const classifier = await prepareClassifier(tinyClassifier({ tail }))
    expect(classifier).toMatchObject({ outputKind: 'probabilities', logarithm: true })
    const z = await plain()
    const logs = await prepareClassifier(
      tinyClassifier({ tail: (b, v) => b.op('LogSoftmax', [v], { axis: 1 }) }),
    )
    expect(logs.outputKind).toBe('log-probabilities')
    expectClose(await logitsOf(classifier), await logitsOf(logs))
    expect(z.length).toBe(8)
  })

  test('a mean of probabilities is probabilities, although a mean is linear', async () => {
    const tail = (b: GraphBuilder, z: string): string => {
      const members = [1, 2].map((factor) =>
        b.op('Unsqueeze', [b.op('Softmax', [b.op('Mul', [z, b.scalar(factor)])]), b.int64s([0])]),
      )
      return b.op('ReduceMean', [b.op('Concat', members, { axis: 0 }), b.int64s([0])], { keepdims: 0 })
    }
    const classifier = await prepareClassifier(tinyClassifier({ tail }))
    expect(classifier.outputKind).toBe('probabilities')
    for (const row of [0, 1]) {
      const logs = (await logitsOf(classifier)).slice(4 * row, 4 * row + 4)
      expect(logs.reduce((sum, log) => sum + Math.exp(log), 0)).toBeCloseTo(1, 4)
    }
  })

  test('sigmoids of z and -z are the probabilities of two classes', async () => {
    const tail = (b: GraphBuilder, z: string): string => {
      const one = b.op('ReduceSum', [z, b.int64s([1])])
      return b.op('Sigmoid', [b.op('Concat', [b.op('Neg', [one]), one], { axis: 1 })])
    }
    const classifier = await prepareClassifier(tinyClassifier({ tail, outputDims: ['N', 2] }))
    expect(classifier).toMatchObject({ outputKind: 'probabilities', classes: 2 })
  })

  test('a map in the place of scores is refused', async () => {
    const model = tinyClassifier()
    new GraphBuilder(model.graph).ops('ZipMap', [model.graph.outputs[0]!.name], {}, { outputs: ['map'] })
    const label = { name: 'label', dtype: 'int64', dims: ['N'] } as const
    new GraphBuilder(model.graph).ops('ArgMax', [model.graph.outputs[0]!.name], {}, { outputs: ['label'] })
    const map = { name: 'map', dtype: 'undefined', dims: null, otherType: new Uint8Array(2) } as const
    for (const outputs of [[map], [label, map]])
      await expect(prepareClassifier({ ...model, graph: { ...model.graph, outputs } })).rejects.toMatchObject(
        { code: 'unsupported-model', hint: expect.stringContaining('zipmap') },
      )
  })

  test('what the caller says counts', async () => {
    const tail = (b: GraphBuilder, z: string): string => b.op('Sigmoid', [z])
    const classifier = await prepareClassifier(tinyClassifier({ tail }), { outputKind: 'logits' })
    expect(classifier.outputKind).toBe('logits')
  })

  const refusals: readonly (readonly [string, Parameters<typeof tinyClassifier>[0], RegExp])[] = [
    ['multi-label', { tail: (b, z) => b.op('Sigmoid', [z]) }, /independent of one another \(Sigmoid\)/],
    [
      'binary',
      { tail: (b, z) => b.op('ReduceSum', [z, b.int64s([1])]), outputDims: ['N', 1] },
      /one score per class: its output has the shape \[batch, 1\]/,
    ],
    [
      'detector',
      { tail: (b, z) => b.op('Reshape', [z, b.int64s([-1, 2, 2])]), outputDims: ['N', 2, 2] },
      /its output has the shape \[batch, 2, 2\]/,
    ],
  ]
  test.each(refusals)('%s models are refused', async (_, options, message) => {
    await expect(prepareClassifier(tinyClassifier(options))).rejects.toMatchObject({
      code: 'unsupported-model',
      message: expect.stringMatching(message),
    })
  })

  test('of several outputs one is named', async () => {
    const model = tinyClassifier()
    const b = new GraphBuilder(model.graph)
    const second = b.op('Mul', [model.graph.outputs[0]!.name, b.scalar(2)], {}, { outputs: ['doubled'] })
    model.graph.outputs.push({ name: second, dtype: 'float32', dims: ['N', 4] })
    await expect(prepareClassifier(model)).rejects.toMatchObject({
      hint: expect.stringContaining('--output'),
    })
    const doubled = await prepareClassifier(model, { outputName: 'doubled' })
    expectClose(
      await logitsOf(doubled),
      (await plain()).map((value) => 2 * value),
    )
  })
})

describe('several inputs', () => {
  const second = { name: 'other', dtype: 'float32', dims: ['N', 4] } as const

  test('one that the scores do not depend on is left out', async () => {
    const model = tinyClassifier()
    model.graph.inputs.push(second)
    const classifier = await prepareClassifier(model)
    expect(classifier.model.graph.inputs.map(({ name }) => name)).toEqual(['input'])
    expectClose(await logitsOf(classifier), await plain())
  })

  test('two that they depend on are refused by name, whichever is the image', async () => {
    const model = tinyClassifier({ tail: (b, z) => b.op('Add', [z, 'other']) })
    model.graph.inputs.push(second)
    for (const options of [{}, { inputName: 'input' }])
      await expect(prepareClassifier(model, options)).rejects.toMatchObject({
        code: 'unsupported-model',
        message: expect.stringMatching(/depend on 2 inputs: "input" .*"other"/),
      })
    await expect(prepareClassifier(tinyClassifier(), { inputName: 'other' })).rejects.toMatchObject({
      code: 'usage',
    })
  })
})

describe('shapes', () => {
  test('a batch size other than the built-in one is refused', async () => {
    const refused = expect(prepareClassifier(tinyClassifier({ dims: [2, 3, 4, 4] }), { batch: 3 })).rejects
    await refused.toMatchObject({ code: 'usage', message: 'the model takes batches of 2, not of 3' })
  })

  test('a batch size that is built in is found out', async () => {
    const tail = (b: GraphBuilder, z: string): string => b.op('Reshape', [z, b.int64s([1, 4])])
    expect((await prepareClassifier(tinyClassifier({ tail }))).batch).toBe(1)
  })

  test('shape arithmetic is resolved, and any batch size still works', async () => {
    const tail = (b: GraphBuilder, z: string): string => {
      const batch = b.op('Shape', [z], { start: 0, end: 1 })
      return b.op('Reshape', [
        b.op('Reshape', [z, b.int64s([-1])]),
        b.op('Concat', [batch, b.int64s([4])], { axis: 0 }),
      ])
    }
    const classifier = await prepareClassifier(tinyClassifier({ tail }))
    expectClose(await logitsOf(classifier), await plain())
    const fixed = await prepareClassifier(tinyClassifier({ tail }), { batch: 2 })
    expect(fixed.model.graph.nodes.some((node) => node.opType === 'Shape')).toBe(false)
    expectClose(await logitsOf(fixed), await plain())
  })

  test('a mean over padding with ceil_mode leaves them out as well', async () => {
    const pads = [1, 1, 1, 1]
    const attributes = { kernel_shape: [3, 3], strides: [3, 3], pads, ceil_mode: 1, count_include_pad: 1 }
    const head = (b: GraphBuilder, x: string): string => b.op('AveragePool', [x], attributes)
    const classifier = await prepareClassifier(tinyClassifier({ dims: ['N', 3, 6, 5], head }))
    const model = await lossGradient(classifier, { loss: 'ce' })
    const { image, shape, classes, batch } = classifier
    const tested = await selfTest(model, { image, shape, classes, batch, unit: true })
    expect(tested.passed).toBe(true)
  })

  test.each(['MaxPool', 'AveragePool', 'LpPool'])(
    '%s leaves out windows beyond the image',
    async (opType) => {
      // Along the first axis the last window hangs over by one, along the second one it would begin beyond the image.
      const ceil = { kernel_shape: [3, 3], strides: [3, 3], pads: [1, 1, 1, 1], ceil_mode: 1 }
      const settled = { ...ceil, ceil_mode: 0, pads: [1, 1, 2, 1] }
      const pooled = (attributes: AttributeValues) =>
        tinyClassifier({
          dims: ['N', 3, 6, 5],
          head: (b, x) => b.op('Relu', [b.op(opType, [x], attributes)]),
        })
      const x = Tensor.float32([2, 3, 6, 5], normals([5], 180))
      const gradients = await Promise.all(
        [ceil, settled].map(async (attributes) => {
          const model = await lossGradient(await prepareClassifier(pooled(attributes)), { loss: 'ce' })
          return (await run(model, { input: x, label: Tensor.int64([2], [0, 3]) })).gradient!.numbers
        }),
      )
      expectClose(gradients[0]!, gradients[1]!)
    },
  )

  test('an If on a shape becomes the branch that is taken', async () => {
    const branch = (factor: number) => {
      const graph = emptyGraph('branch')
      const b = new GraphBuilder(graph)
      graph.outputs.push({ name: b.op('Mul', [LOGITS, b.scalar(factor)]), dtype: 'float32', dims: null })
      for (const node of graph.nodes) graph.outputs[0] = { ...graph.outputs[0]!, name: node.outputs[0]! }
      return graph
    }
    const LOGITS = 'before'
    const tail = (b: GraphBuilder, z: string): string => {
      const value = b.op('Identity', [z], {}, { outputs: [LOGITS] })
      const rank = b.op('Size', [b.op('Shape', [value])])
      const condition = b.op('Equal', [rank, b.constant('int64', [], [2])])
      return b.op('If', [condition], { then_branch: branch(3), else_branch: branch(5) })
    }
    const classifier = await prepareClassifier(tinyClassifier({ tail }))
    expect(classifier.model.graph.nodes.some((node) => node.opType === 'If')).toBe(false)
    expectClose(
      await logitsOf(classifier),
      (await plain()).map((value) => 3 * value),
    )
  })
})

describe('sequences', () => {
  const cases: readonly (readonly [string, (b: GraphBuilder, z: string) => string])[] = [
    [
      'split into equal parts and joined again',
      (b, z) => {
        const parts = b.op('SplitToSequence', [z, b.constant('int64', [], [2])], { axis: 1 })
        const at = (i: number): string => b.op('SequenceAt', [parts, b.constant('int64', [], [i])])
        return b.op('ConcatFromSequence', [b.op('SequenceConstruct', [at(0), at(-1)])], { axis: 1 })
      },
    ],
    [
      'unbound and stacked again',
      (b, z) => {
        const parts = b.op('SplitToSequence', [z], { axis: 1, keepdims: 0 })
        const columns = [0, 1, 2, 3].map((i) => b.op('SequenceAt', [parts, b.constant('int64', [], [i])]))
        return b.op('ConcatFromSequence', [b.op('SequenceConstruct', columns)], { axis: 1, new_axis: 1 })
      },
    ],
    [
      'split into given lengths',
      (b, z) => {
        const parts = b.op('SplitToSequence', [z, b.int64s([1, 3])], { axis: -1 })
        return b.op('ConcatFromSequence', [parts], { axis: 1 })
      },
    ],
  ]
  test.each(cases)('%s', async (_, tail) => {
    const classifier = await prepareClassifier(tinyClassifier({ tail }))
    expect(classifier.model.graph.nodes.some(({ opType }) => opType.includes('Sequence'))).toBe(false)
    expectClose(await logitsOf(classifier), await plain())
    const gradient = await lossGradient(classifier, { loss: 'ce' })
    const label = Tensor.int64([2], [0, 1])
    const own = await lossGradient(await prepareClassifier(tinyClassifier()), { loss: 'ce' })
    const known = (await run(own, { input: images, label })).gradient!.numbers
    expectClose((await run(gradient, { input: images, label })).gradient!.numbers, known)
  })
})

test('a quantised model gets the gradient of the numbers it stands for', async () => {
  const quantised = (b: GraphBuilder, value: string): string => {
    const [scale, zero] = [b.scalar(0.02), b.constant('uint8', [], [128])]
    return b.op('DequantizeLinear', [b.op('QuantizeLinear', [value, scale, zero]), scale, zero])
  }
  const gradientFor = async (model: Model): Promise<number[]> => {
    const graph = await lossGradient(await prepareClassifier(model), { loss: 'ce' })
    return (await run(graph, { input: images, label: Tensor.int64([2], [0, 1]) })).gradient!.numbers
  }
  const known = await gradientFor(tinyClassifier())
  const computed = await gradientFor(tinyClassifier({ head: quantised }))
  const norm = (values: readonly number[]): number => Math.hypot(...values)
  expect(norm(computed.map((value, i) => value - known[i]!)) / norm(known)).toBeLessThan(0.1)
})

test('float16 models are computed in float32', async () => {
  const model = half(tinyClassifier())
  const classifier = await prepareClassifier(model, { input: described({}) })
  expect(classifier.model.graph.inputs[0]!.dtype).toBe('float32')
  expectClose(await logitsOf(classifier), await plain(), 2)
})

/** The model with weights, input and output in float16, rounded to zero. */
function half(model: Model): Model {
  const bits = (value: number): number => {
    if (value === 0) return 0
    const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value))))
    const fraction = Math.floor((Math.abs(value) / 2 ** exponent - 1) * 1024)
    return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | Math.max(0, fraction)
  }
  const initializers = new Map(
    [...model.graph.initializers].map(([name, tensor]) => [
      name,
      tensor.dtype === 'float32'
        ? Tensor.of('float16', tensor.dims, Uint16Array.from(tensor.floats, bits))
        : tensor,
    ]),
  )
  const asHalf = <T extends object>(info: T): T => ({ ...info, dtype: 'float16' })
  const { inputs, outputs } = model.graph
  return {
    ...model,
    graph: { ...model.graph, initializers, inputs: inputs.map(asHalf), outputs: outputs.map(asHalf) },
  }
}
