import { describe, expect, it } from 'vitest'
import { makeNode } from '../../../converters/onnx/builder.ts'
import { emptyGraph, type Model, modelOf, type Node } from '../../../converters/onnx/graph.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { resnetSchema } from '../../../manifests/schema/recipe.ts'
import { withHalfKernels } from '../../../trainer/export/float16.ts'
import { NEWEST_OPSET, OLDEST_OPSET, withOpset } from '../../../trainer/export/opset.ts'
import { resnet } from '../../../trainer/resnet/resnet.ts'
import { noise } from './saved-run.ts'

const network = (spec: object): Model =>
  modelOf(
    resnet({
      spec: resnetSchema.parse({
        family: 'resnet',
        form: 'small',
        depth: 8,
        width: 4,
        mean: [0.5],
        std: [0.25],
        ...spec,
      }),
      shape: [3, 8, 8],
      classes: 3,
      branch: 'main',
      weights: new Map(),
      seed: 1,
    }),
  )

/** Together they have every operator that the family is built of. */
const NETWORKS: Record<string, Model> = {
  'batch norm': network({}),
  'group norm, SiLU': network({ norm: { kind: 'group', groups: 2 }, activation: 'silu' }),
  'no norm, softplus, the large form': network({
    form: 'imagenet',
    block: 'bottleneck',
    depth: 50,
    width: 2,
    norm: { kind: 'none' },
    activation: 'softplus',
  }),
}
const half = network({})
NETWORKS['float16 kernels'] = { ...half, graph: withHalfKernels(half.graph) }

async function logits(model: Model): Promise<Float32Array> {
  const { images } = await noise(4).read([0, 1, 2, 3])
  const session = await openSession(model, { threads: 1 })
  const { logits } = await session.run({ image: Tensor.float32([4, 3, 8, 8], images) })
  await session.release()
  return logits!.floats
}

describe.each(Object.entries(NETWORKS))('%s', (_, model) => {
  it('gives the same logits in every opset that can be written', async () => {
    const expected = await logits(model)
    expect(new Set(expected).size).toBeGreaterThan(4)
    for (let opset = OLDEST_OPSET; opset <= NEWEST_OPSET; opset++) {
      const written = withOpset(model, opset)
      expect(written.opsets).toEqual(new Map([['', opset]]))
      expect(await logits(written)).toEqual(expected)
    }
  })
})

it('knows the newest opset that onnxruntime runs', async () => {
  const newer = { ...NETWORKS['batch norm']!, opsets: new Map([['', NEWEST_OPSET + 1]]) }
  await expect(openSession(newer)).rejects.toMatchObject({ code: 'unsupported-model' })
})

it('asks no more of readers of old opsets than they knew', () => {
  const model = NETWORKS['batch norm']!
  expect(withOpset(model, 13).irVersion).toBe(7)
  expect(withOpset(model, 15).irVersion).toBe(8)
})

it.each([12, 27, 13.5])('refuses opset %s', (opset) => {
  expect(() => withOpset(NETWORKS['batch norm']!, opset)).toThrow(expect.objectContaining({ code: 'usage' }))
})

const modelWith = (node: Node): Model => modelOf({ ...emptyGraph('one'), nodes: [node] })

it('drops attributes that older opsets lack, where they change nothing', () => {
  const reshape = makeNode('Reshape', ['x', 'shape'], ['y'], { allowzero: 0 }, 'flat')
  expect(withOpset(modelWith(reshape), 13).graph.nodes[0]!.attributes.size).toBe(0)
  expect(withOpset(modelWith(reshape), 14).graph.nodes[0]!.attributes.size).toBe(1)
  const odd = makeNode('Reshape', ['x', 'shape'], ['y'], { allowzero: 1 }, 'odd')
  expect(() => withOpset(modelWith(odd), 13)).toThrow('opset 13 cannot express allowzero of Reshape "odd"')
})

it('names an operator that it has no step for', () => {
  const node = makeNode('ReduceMean', ['x', 'axes'], ['y'], {}, 'mean')
  expect(() => withOpset(modelWith(node), 17)).toThrow(
    expect.objectContaining({
      code: 'unsupported-model',
      message: expect.stringContaining('ReduceMean "mean"'),
    }),
  )
  expect(withOpset(modelWith(node), 18).graph.nodes).toEqual([node])
})
