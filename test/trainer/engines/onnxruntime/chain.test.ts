import { describe, expect, it } from 'vitest'
import type { Graph } from '../../../../converters/onnx/graph.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { normals, uniforms } from '../../../../converters/perturb/random.ts'
import { resnetSchema } from '../../../../manifests/schema/recipe.ts'
import { Chain } from '../../../../trainer/engines/onnxruntime/chain.ts'
import type { ProgramRequest } from '../../../../trainer/engines/onnxruntime/prepare.ts'
import { Program } from '../../../../trainer/engines/onnxruntime/program.ts'
import { segmentsOf } from '../../../../trainer/engines/onnxruntime/segments.ts'
import { WeightTable } from '../../../../trainer/engines/onnxruntime/weights.ts'
import { crossEntropy } from '../../../../trainer/losses.ts'
import { objectiveOf, resnetNetwork } from '../../../../trainer/network.ts'

const spec = resnetSchema.parse({ family: 'resnet', form: 'small', depth: 29, block: 'bottleneck', width: 2 })
const network = resnetNetwork(spec, [2, 8, 8], 3, 1)
const { inference, training } = objectiveOf(network, 'main', crossEntropy)
const table = new WeightTable(
  network.weights.map(({ name, role, value }, i) => ({
    name,
    role,
    value: Tensor.float32(
      value.dims,
      normals([i], value.size).map((noise, k) => value.floats[k]! + 0.1 * Math.abs(noise)),
    ),
  })),
)
const isWeight = (name: string) => table.has(name)
const feeds = {
  image: Tensor.float32([4, 2, 8, 8], uniforms([1], 512)),
  target: Tensor.float32([4, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1, 0.5, 0.5, 0]),
}
const outputs = (graph: Graph) => graph.outputs.map(({ name }) => name)
const trained = network.weights.map(({ name }) => name).filter((name) => table.isTrainable(name))

async function expectAlike(graph: Graph, request: ProgramRequest): Promise<void> {
  const chain = await Chain.build(graph, feeds, request, table, {})
  const whole = (await Program.build(graph, feeds, request, table, {})).bind(table)
  // Twice, for memory is used again.
  for (let i = 0; i < 2; i++) {
    const [some, others] = [await chain.run(feeds), await whole.run(feeds)]
    expect(Object.keys(some).sort()).toEqual(Object.keys(others).sort())
    for (const [name, tensor] of Object.entries(some)) {
      const other = others[name]!
      expect(tensor.dims, name).toEqual(other.dims)
      const difference = Math.hypot(...tensor.floats.map((value, k) => value - other.floats[k]!))
      expect(difference / Math.hypot(...other.floats), name).toBeLessThan(1e-3)
    }
  }
  await chain.release()
  await whole.release()
}

describe('a graph in segments', () => {
  it('computes what the whole graph computes: outputs', async () => {
    await expectAlike(inference.graph, { outputs: ['logits', 'loss'], withRespectTo: [] })
    await expectAlike(training.graph, { outputs: outputs(training.graph), withRespectTo: [] })
  })

  it('and gradients of images, of inner values and of weights', async () => {
    const { graph } = inference
    const tap = graph.nodes[30]!.outputs[0]!
    await expectAlike(graph, { outputs: ['logits'], of: 'loss', withRespectTo: ['image', tap] })
    await expectAlike(training.graph, {
      outputs: outputs(training.graph),
      of: 'loss',
      withRespectTo: ['image', ...trained],
      passing: trained.map((name) => `gradient/${name}`),
    })
  })

  it('and of late weights alone', async () => {
    const late = trained.filter((name) => name.startsWith('stage3'))
    await expectAlike(training.graph, { outputs: outputs(training.graph), of: 'loss', withRespectTo: late })
  })

  it('has the same segment for each block of a stage', () => {
    const segments = segmentsOf(training.graph, isWeight, new Set(outputs(training.graph)))
    const kinds = new Set(segments.map(({ key }) => key))
    expect(segments.length).toBeGreaterThan(9)
    expect(kinds.size).toBeLessThanOrEqual(8)
  })
})
