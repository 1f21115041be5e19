import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { float, GraphBuilder } from '../../../../converters/onnx/builder.ts'
import { encodeModel } from '../../../../converters/onnx/codec.ts'
import { writeModel } from '../../../../converters/onnx/file.ts'
import { type Dim, emptyGraph, type Model, modelOf } from '../../../../converters/onnx/graph.ts'
import { type LintReport, lint } from '../../../../converters/onnx/lint/lint.ts'
import { startingManifest } from '../../../../converters/onnx/lint/manifest.ts'
import type { LintOptions } from '../../../../converters/onnx/lint/subject.ts'
import { openSession } from '../../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { inputSchema } from '../../../../manifests/schema/input.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-test-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const random = (count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898 + 1))

interface Shape {
  readonly dims?: readonly Dim[]
  /** Nodes between the input and the first convolution. */
  readonly before?: (b: GraphBuilder, x: string) => string
  /** Nodes between convolution and classifier. */
  readonly within?: (b: GraphBuilder, x: string) => string
  /** Nodes after the scores. */
  readonly after?: (b: GraphBuilder, scores: string) => string
  readonly classes?: number
}

/** A convolution, something, a global pool and a dense layer. */
function convNet({ dims = ['N', 3, 8, 8], before, within, after, classes = 10 }: Shape = {}): Model {
  const graph = emptyGraph('net')
  graph.inputs.push({ name: 'x', dtype: 'float32', dims })
  const b = new GraphBuilder(graph)
  const images = before?.(b, 'x') ?? 'x'
  const conv = b.op('Conv', [images, b.floats([4, 3, 3, 3], random(108))], { pads: [1, 1, 1, 1] })
  const inner = within?.(b, conv) ?? b.op('Relu', [conv])
  const pooled = b.op('Flatten', [b.op('GlobalAveragePool', [inner])])
  const scores = b.op('Gemm', [pooled, b.floats([4, classes], random(4 * classes))])
  const output = after?.(b, scores) ?? scores
  graph.outputs.push({ name: output, dtype: 'float32', dims: null })
  return modelOf(graph)
}

async function reportOn(model: Model, options: LintOptions = {}): Promise<LintReport> {
  const path = join(folder, 'model.onnx')
  writeFileSync(path, encodeModel(model))
  return (await lint(path, { open: openSession, ...options })).report
}

const found = ({ findings }: LintReport): string[] =>
  findings.map(({ severity, check }) => `${severity} ${check}`)

const described = (input: object) => ({ input: inputSchema.parse(input) })

describe('lint', () => {
  it('tells what a model is', async () => {
    expect(await reportOn(convNet())).toMatchObject({
      irVersion: 8,
      opsets: { 'ai.onnx': 18 },
      producer: 'robust-zoo',
      nodes: 5,
      parameters: 148,
      input: { name: 'x', dtype: 'float32', shape: ['N', 3, 8, 8] },
      output: { kind: 'logits', classes: 10 },
      batch: null,
      guesses: { layout: 'nchw', channels: 'rgb', size: [8, 8] },
      passed: true,
    })
  })

  it.each<[string, Shape, LintOptions, string[]]>([
    ['an image description that fits', {}, described({ mean: [0.5], std: [0.25] }), []],
    ['nothing known of normalisation', {}, {}, ['warning unknown-normalisation']],
    ['a fixed batch', { dims: [2, 3, 8, 8] }, described({}), ['note fixed-batch']],
    ['a final Softmax', { after: (b, x) => b.op('Softmax', [x]) }, described({}), ['note probabilities']],
    [
      'probabilities from elsewhere',
      {
        after: (b, x) =>
          b.op('Div', [b.op('Exp', [x]), b.op('ReduceSum', [b.op('Exp', [x]), b.int64s([1])])]),
      },
      described({}),
      ['warning probabilities'],
    ],
    [
      'a model that normalises twice',
      {
        before: (b, x) =>
          b.op('Div', [b.op('Sub', [x, b.floats([3, 1, 1], [0.485, 0.456, 0.406])]), b.scalar(0.2)]),
      },
      described({ mean: [0.5] }),
      ['warning double-normalisation', 'note own-normalisation'],
    ],
    [
      'a model that wants bytes',
      { before: (b, x) => b.op('Mul', [x, b.scalar(1 / 255)]) },
      described({}),
      ['warning range', 'note own-normalisation'],
    ],
    [
      'the wrong layout',
      { dims: ['N', 8, 8, 3], before: (b, x) => b.op('Transpose', [x], { perm: [0, 3, 1, 2] }) },
      described({}),
      ['error description', 'warning layout'],
    ],
    [
      'rounding on the way',
      { within: (b, x) => b.op('Add', [x, b.op('Round', [x])]) },
      described({}),
      ['warning zero-gradient'],
    ],
    [
      'random numbers',
      { within: (b, x) => b.op('Add', [x, b.op('RandomNormalLike', [x])]) },
      described({}),
      ['warning stochastic', 'warning random-scores'],
    ],
    [
      'an operator without a gradient',
      {
        within: (b, x) =>
          b.op('Reshape', [
            b.op('Det', [b.op('Slice', [x, b.int64s([0, 0]), b.int64s([2, 2]), b.int64s([2, 3])])]),
            b.int64s([0, 4, 1, 1]),
          ]),
      },
      described({}),
      ['error no-gradient-rule'],
    ],
    [
      'only a class',
      { after: (b, x) => b.op('Cast', [b.op('ArgMax', [x], { axis: 1 })], { to: 1 }) },
      described({}),
      ['error classifier'],
    ],
    ['a multi-label model', { after: (b, x) => b.op('Sigmoid', [x]) }, described({}), ['error classifier']],
    [
      'values that are no numbers',
      { within: (b, x) => b.op('Log', [b.op('Neg', [b.op('Abs', [x])])]) },
      described({}),
      ['error not-a-number', 'error gradient'],
    ],
    [
      'scores that nothing changes',
      { within: (b, x) => b.op('Mul', [x, b.scalar(0)]) },
      described({}),
      ['warning vanishing-gradient'],
    ],
    [
      'quantised values',
      {
        within: (b, x) => {
          const scale = [b.scalar(0.1), b.constant('uint8', [], [128])]
          return b.op('DequantizeLinear', [b.op('QuantizeLinear', [x, ...scale]), ...scale])
        },
      },
      described({}),
      ['warning quantised'],
    ],
    [
      'batch norm in training mode',
      {
        within: (b, x) => {
          const parameters = [1, 0, 0, 1].map((value) => b.floats([4], [value, value, value, value]))
          return b.ops(
            'BatchNormalization',
            [x, ...parameters],
            { training_mode: 1 },
            { outputs: ['y', 'mean', 'var'] },
          )[0]!
        },
      },
      described({}),
      // onnxruntime lets the running statistics drift from call to call.
      ['warning training-mode', 'warning random-scores'],
    ],
    [
      // onnxruntime leaves it out inside of a model, other runtimes don't.
      'dropout in training mode',
      { within: (b, x) => b.op('Dropout', [x, b.scalar(0.5), b.constant('bool', [], [1])]) },
      described({}),
      ['warning stochastic'],
    ],
  ])('finds %s', async (_, shape, options, expected) => {
    const report = await reportOn(convNet(shape), options)
    expect(found(report).sort()).toEqual([...expected].sort())
    expect(report.passed).toBe(!expected.some((finding) => finding.startsWith('error')))
  })

  it('names the nodes in question', async () => {
    const { findings } = await reportOn(
      convNet({ within: (b, x) => b.op('Add', [x, b.op('Round', [x], {}, { name: 'here' })]) }),
    )
    expect(findings.find(({ check }) => check === 'zero-gradient')).toMatchObject({ nodes: ['Round "here"'] })
  })

  it('says which operators are covered', async () => {
    const { operators } = await reportOn(convNet({ within: (b, x) => b.op('Add', [x, b.op('Round', [x])]) }))
    expect(operators).toContainEqual({ operator: 'Conv', count: 1, gradient: 'rule' })
    expect(operators).toContainEqual({ operator: 'Round', count: 1, gradient: 'zero' })
  })

  it('reports a graph that contradicts itself, and operators of nobody', async () => {
    const contradictory = convNet()
    contradictory.graph.nodes.splice(0, 1)
    expect(found(await reportOn(contradictory))).toEqual(['error form'])
    const custom = convNet({ within: (b, x) => b.op('Mystery', [x], {}, { domain: 'nobody' }) })
    custom.opsets.set('nobody', 1)
    expect(found(await reportOn(custom))).toEqual([
      'error runs',
      'warning unknown-normalisation',
      'note custom-domain',
    ])
  })

  it('finds an image that is classified otherwise in other company', async () => {
    const mean = (b: GraphBuilder, x: string): string =>
      b.op('ReduceMean', [x, b.int64s([0])], { keepdims: 1 })
    const report = await reportOn(convNet({ within: (b, x) => b.op('Sub', [x, mean(b, x)]) }), described({}))
    expect(found(report)).toEqual(['warning batch-dependent'])
  })

  it('finds batch norm that has seen bytes', async () => {
    const model = convNet({
      before: (b, x) => {
        const parameters = [1, 0, 120, 4000].map((value) => b.floats([3], [value, value, value]))
        return b.op('BatchNormalization', [x, ...parameters], { epsilon: float(1e-3) })
      },
    })
    expect((await reportOn(model)).guesses).toMatchObject({ range: [0, 255] })
  })

  it('writes a manifest to start from', async () => {
    const path = join(folder, 'My-Model_v2.onnx')
    await writeModel(convNet({ dims: ['N', 3, 32, 32], classes: 10 }), path, { externalAbove: 0 })
    const { report, subject } = await lint(path, { open: openSession })
    const { manifest, guessed } = await startingManifest(subject, report)
    expect(manifest).toMatchObject({
      name: 'my-model-v2',
      parameters: 148,
      opset: 18,
      input: { layout: 'nchw', channels: 'rgb', size: [32, 32], range: [0, 1] },
      output: 'logits',
      dataset: 'cifar10',
      files: [{ path: 'My-Model_v2.onnx', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }],
    })
    expect(manifest.classes[3]).toBe('cat')
    expect(guessed).toEqual(expect.arrayContaining(['name', 'input', 'dataset', 'licence']))
  })

  it('lists external data in the manifest', async () => {
    const model = convNet({ classes: 2000 })
    model.graph.initializers.set('constant_1', Tensor.float32([4, 2000], random(8000)))
    const path = join(folder, 'large.onnx')
    await writeModel(model, path, { externalAbove: 0 })
    const { report, subject } = await lint(path, { open: openSession })
    expect(found(report)).toContain('note external-data')
    const { manifest } = await startingManifest(subject, report)
    expect(manifest.files.map((file) => file.path)).toEqual(['large.onnx', 'large.onnx.data'])
    expect(manifest.dataset).toBe('unknown')
  })
})
