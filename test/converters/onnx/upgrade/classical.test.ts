import { describe, expect, test } from 'vitest'
import { type AttributeValues, float, makeNode } from '../../../../converters/onnx/builder.ts'
import { emptyGraph, type Model, modelOf } from '../../../../converters/onnx/graph.ts'
import { normalise } from '../../../../converters/onnx/normalise.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { normals } from '../../../../converters/perturb/random.ts'
import { run } from '../tiny.ts'

const X = Tensor.float32([2, 3], normals([1], 6))

/** One node of `ai.onnx.ml`, its last output the model's. */
function classical(opType: string, attributes: AttributeValues, outputs: readonly string[] = ['y']): Model {
  const graph = emptyGraph(opType)
  graph.inputs.push({ name: 'x', dtype: 'float32', dims: ['N', 3] })
  graph.nodes.push(makeNode(opType, ['x'], outputs, attributes, opType, 'ai.onnx.ml'))
  graph.outputs.push({ name: outputs.at(-1)!, dtype: 'float32', dims: null })
  const model = modelOf(graph)
  model.opsets.set('ai.onnx.ml', 1)
  return model
}

const linear = (rows: number, post_transform: string): AttributeValues => ({
  coefficients: float(Array.from(normals([2], 3 * rows))),
  intercepts: float(Array.from(normals([3], rows))),
  classlabels_ints: Array.from({ length: Math.max(rows, 2) }, (_, i) => i),
  post_transform,
})

describe("scikit-learn's operators become the standard's", () => {
  test.each<[string, AttributeValues, (readonly string[])?]>([
    ['Scaler', { offset: float([1, 2, 3]), scale: float([0.5, 2, -1]) }],
    ['Scaler', { offset: float([1]), scale: float([0.5]) }],
    ['Normalizer', { norm: 'L1' }],
    ['Normalizer', { norm: 'L2' }],
    ['LinearClassifier', linear(4, 'NONE'), ['label', 'y']],
    ['LinearClassifier', linear(4, 'SOFTMAX'), ['label', 'y']],
    ['LinearClassifier', linear(2, 'LOGISTIC'), ['label', 'y']],
  ])('%s %o', async (opType, attributes, outputs) => {
    const model = classical(opType, attributes, outputs)
    const lowered = normalise(model)
    expect(lowered.graph.nodes.every(({ domain }) => domain === '')).toBe(true)
    expect([...lowered.opsets.keys()]).toEqual([''])
    const [known, computed] = [(await run(model, { x: X })).y!, (await run(lowered, { x: X })).y!]
    expect(computed.dims).toEqual(known.dims)
    for (const [i, value] of known.floats.entries()) expect(computed.floats[i]).toBeCloseTo(value, 5)
  })

  test('a label that is read keeps its operator', async () => {
    const model = classical('LinearClassifier', linear(4, 'SOFTMAX'), ['label', 'y'])
    model.graph.outputs.push({ name: 'label', dtype: 'int64', dims: null })
    const [known, computed] = [await run(model, { x: X }), await run(normalise(model), { x: X })]
    expect(computed.label!.numbers).toEqual(known.label!.numbers)
  })

  test('two classes of one row stay as they are', () => {
    const { graph } = normalise(classical('LinearClassifier', linear(1, 'LOGISTIC'), ['label', 'y']))
    expect(graph.nodes.map(({ opType }) => opType)).toEqual(['LinearClassifier'])
  })
})
