import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromBinary } from '@bufbuild/protobuf'
import { describe, expect, test } from 'vitest'
import { decodedTensor } from '../../../../converters/onnx/codec/tensor.ts'
import { readModel } from '../../../../converters/onnx/file.ts'
import { differentiate } from '../../../../converters/onnx/gradient/differentiate.ts'
import type { Model } from '../../../../converters/onnx/graph.ts'
import { normalise } from '../../../../converters/onnx/normalise.ts'
import { openSession } from '../../../../converters/onnx/runtime/open.ts'
import { TensorProtoSchema } from '../../../../converters/onnx/schema/onnx_pb.ts'
import type { Tensor } from '../../../../converters/onnx/tensor.ts'
import { full } from '../../../data.ts'
import { checkModel, type Variable } from './check-rule.ts'
import { awayFrom, between, distinct, normal } from './operands.ts'

/** The graphs of the standard's own node tests, as Debian packages them in libonnx-testdata. */
const FOLDER = '/usr/share/libonnx-testdata/data/node'

/** Operators without a rule though they have a gradient: `differentiate` must say so, whatever the reason is. */
const REFUSED: Readonly<Record<string, string>> = {
  SoftmaxCrossEntropyLoss: 'a training loss, no part of a classifier',
  NegativeLogLikelihoodLoss: 'a training loss, no part of a classifier',
  GridSample: 'samples at computed positions',
  RoiAlign: 'samples at computed positions',
  Compress: 'gives as many results as the data says',
  Unique: 'gives as many results as the data says',
  MaxUnpool: 'of segmentation networks',
  DFT: 'signal processing',
  STFT: 'signal processing',
  Det: 'linear algebra',
  GRU: 'recurrent',
  LSTM: 'recurrent',
  RNN: 'recurrent',
  Scan: 'a loop',
  Loop: 'a loop',
  DynamicQuantizeLinear: 'quantises by the range of its data',
}

/** Operators whose gradient is zero wherever it exists. */
const STEPS = new Set(['Ceil', 'Floor', 'Round', 'Sign', 'Hardmax'])

/** Single tests that cannot be compared, with the reason. */
const SKIPPED: Readonly<Record<string, string>> = {
  test_resize_tf_crop_and_resize: 'tf_crop_and_resize has no rule',
  test_scatternd_multiply: 'reduction mul has no rule',
  test_scan_sum: 'a form that ended with opset 8',
  test_castlike_STRING_to_FLOAT: 'its float input gives only a type',
  test_castlike_STRING_to_FLOAT_expanded: 'its float input gives only a type',
  test_maxpool_3d_default: 'float32 has no room for so many distinct values',
  test_nllloss_NCd1d2d3d4d5_mean_weight_expanded: 'the slope of a mean over 6480 terms drowns in rounding',
}
const RANDOM = /^test_(training_dropout|dropout_random|bernoulli)/

/** Float inputs that are settings, by operator and position. */
const SETTINGS: Readonly<Record<string, readonly number[]>> = {
  Resize: [1, 2],
  Upsample: [1],
  OneHot: [0, 1],
  Dropout: [1],
  Range: [0, 1, 2],
  QuantizeLinear: [1],
  DequantizeLinear: [1],
  MelWeightMatrix: [0, 1, 2, 3, 4],
}

/** Where the tests' own values lie on a kink, beyond a domain or out of float32's reach. */
const VALUES: readonly (readonly [RegExp, (dims: readonly number[], seed: number) => Variable])[] = [
  [/^test_(max|min)pool|reduce_(max|min)|^test_maxpool/, (dims, seed) => distinct(dims, seed)],
  [/elu_example|relu_example|clip_/, (dims, seed) => awayFrom([-2, -1, 0, 1, 2], dims, seed, 0.1)],
  [/^test_acosh/, (dims, seed) => between(1.5, 4, dims, seed)],
  [/^test_(asin|acos|atanh)/, (dims, seed) => between(-0.7, 0.7, dims, seed)],
  [/large_number/, (dims, seed) => normal(dims, seed)],
  [/^test_(pow|batchnorm)/, (dims, seed) => between(0.5, 2, dims, seed)],
]

/** By default one test in four, of every operator; all under `test:full`. */
const names = (existsSync(FOLDER) ? readdirSync(FOLDER).sort() : []).filter((_, i) => full || i % 4 === 0)
const why = existsSync(FOLDER) ? '' : ' (skipped: the package libonnx-testdata is not installed)'

describe.skipIf(why !== '')(`gradients of the standard's node tests${why}`, () => {
  for (const name of names) {
    const reason = SKIPPED[name] ?? (RANDOM.test(name) ? 'random' : undefined)
    test.skipIf(reason !== undefined)(reason ? `${name} (skipped: ${reason})` : name, async ({ skip }) => {
      const path = join(FOLDER, name, 'model.onnx')
      const model = await runnable(path)
      if (!model) return skip('onnxruntime does not run it')
      const { model: own, variables } = withConstants(name, model)
      const outputs = model.graph.outputs.filter(({ dtype }) => dtype === 'float32')
      if (variables.size === 0 || outputs.length === 0) return skip('no float32 to differentiate')
      const operators = model.graph.nodes.map((node) => node.opType)
      const refused = operators.find((operator) => operator in REFUSED)
      const loss = { of: outputs[0]!.name, withRespectTo: [...variables.keys()].slice(0, 1) }
      if (refused) await expect(differentiate(own, loss)).rejects.toThrow(/no gradient rule for/)
      else if (operators.every((operator) => STEPS.has(operator)))
        await expect(differentiate(own, loss)).rejects.toThrow(/is zero everywhere/)
      else await checkModel({ model: own, variables }, { second: false })
    })
  }
  if (names.length === 0) test('none', () => {})
})

/** The model in normal form, or nothing if onnxruntime or the codec has no place for it: sequences, other types. */
async function runnable(path: string): Promise<Model | undefined> {
  try {
    const session = await openSession(path)
    await session.release()
    return normalise(await readModel(path))
  } catch {
    return undefined
  }
}

/** float32 inputs are differentiated, all others become constants. */
function withConstants(name: string, model: Model): { model: Model; variables: Map<string, Variable> } {
  const { graph } = model
  const tensors = inputsOf(name)
  const variables = new Map<string, Variable>()
  const initializers = new Map(graph.initializers)
  const values = VALUES.find(([pattern]) => pattern.test(name))?.[1]
  for (const [i, input] of graph.inputs.entries()) {
    const tensor = tensors[i]!
    if (tensor.dtype !== 'float32' || isSetting(model, input.name)) initializers.set(input.name, tensor)
    else {
      const own = tensor.dims.length > 0 ? values?.(tensor.dims, i) : undefined
      variables.set(input.name, own ?? { dims: tensor.dims, values: tensor.floats })
    }
  }
  const inputs = graph.inputs
    .filter((input) => variables.has(input.name))
    .map((input) => ({ ...input, dims: variables.get(input.name)!.dims }))
  return { model: { ...model, graph: { ...graph, inputs, initializers } }, variables }
}

const isSetting = ({ graph }: Model, input: string): boolean =>
  graph.nodes.some(({ opType, inputs }) => SETTINGS[opType]?.some((position) => inputs[position] === input))

function inputsOf(name: string): Tensor[] {
  const folder = join(FOLDER, name, 'test_data_set_0')
  const count = readdirSync(folder).filter((file) => file.startsWith('input')).length
  return Array.from({ length: count }, (_, i) =>
    decodedTensor(fromBinary(TensorProtoSchema, readFileSync(join(folder, `input_${i}.pb`))), undefined),
  )
}
