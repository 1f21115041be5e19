import { describe, expect, it } from 'vitest'
import type { Graph } from '../../../converters/onnx/graph.ts'
import { modelOf } from '../../../converters/onnx/graph.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { type ResNetSpec, resnetSchema } from '../../../manifests/schema/recipe.ts'
import { IMAGENET_DEPTHS, stages } from '../../../trainer/resnet/depths.ts'
import type { Branch } from '../../../trainer/resnet/layers.ts'
import { resnet } from '../../../trainer/resnet/resnet.ts'
import { batchStatistics } from '../../../trainer/resnet/statistics.ts'

const small = (rest: object = {}): ResNetSpec =>
  resnetSchema.parse({ family: 'resnet', form: 'small', depth: 8, width: 4, ...rest })
const imagenet = (depth: number, rest: object = {}): ResNetSpec =>
  resnetSchema.parse({ family: 'resnet', form: 'imagenet', block: 'bottleneck', depth, width: 64, ...rest })

function build(
  spec: ResNetSpec,
  shape: readonly [number, number, number],
  branch: Branch = 'main',
  classes = 10,
) {
  const weights = new Map<string, Tensor>()
  return { graph: resnet({ spec, shape, classes, branch, weights, seed: 0 }), weights }
}

/** Parameters as papers count them: without running statistics. */
const parameters = (weights: ReadonlyMap<string, Tensor>): number =>
  [...weights].reduce((sum, [name, { size }]) => sum + (/mean$|variance$/.test(name) ? 0 : size), 0)

async function logits(graph: Graph, image: Tensor): Promise<Tensor> {
  const session = await openSession(modelOf(graph), { threads: 1 })
  const { logits } = await session.run({ image })
  await session.release()
  return logits!
}

describe('depths', () => {
  it('have as many layers as their names say', () => {
    for (const [depth, { blocks }] of Object.entries(IMAGENET_DEPTHS))
      expect(3 * blocks.reduce((sum, count) => sum + count, 0) + 2).toBe(Number(depth))
  })

  it('follow 6n+2 and 9n+2 in the small form', () => {
    expect(stages(small({ depth: 20 }))).toEqual([3, 3, 3])
    expect(stages(small({ depth: 29, block: 'bottleneck' }))).toEqual([3, 3, 3])
    expect(() => stages(small({ depth: 18 }))).toThrow(expect.objectContaining({ code: 'invalid-manifest' }))
    expect(() => stages(imagenet(34))).toThrow(expect.objectContaining({ code: 'invalid-manifest' }))
  })
})

describe('a residual network', () => {
  it('has the published number of parameters', () => {
    expect(parameters(build(imagenet(50), [3, 224, 224], 'main', 1000).weights)).toBe(25_557_032)
    expect(parameters(build(small({ depth: 20, width: 16 }), [3, 32, 32]).weights)).toBe(272_474)
  })

  it('has the size that its strides make of the image, with either padding', async () => {
    for (const padding of ['same', 'symmetric'] as const)
      for (const size of [32, 37] as const) {
        const { graph } = build(imagenet(50, { padding, width: 2 }), [3, size, size])
        const image = Tensor.float32([1, 3, size, size], new Float32Array(3 * size * size).fill(0.5))
        expect((await logits(graph, image)).dims).toEqual([1, 10])
      }
  })

  it('pads as TensorFlow does where it is told to', () => {
    const pads = (padding: 'same' | 'symmetric'): unknown[] =>
      build(imagenet(50, { padding, width: 2 }), [3, 224, 224])
        .graph.nodes.filter(({ name }) => name === 'stem.conv' || name === 'stem.pool')
        .map(({ attributes }) => attributes.get('pads')!.value)
    expect(pads('same')).toEqual([
      [2n, 2n, 3n, 3n],
      [0n, 0n, 1n, 1n],
    ])
    expect(pads('symmetric')).toEqual([
      [3n, 3n, 3n, 3n],
      [1n, 1n, 1n, 1n],
    ])
  })

  it('starts its blocks as identities, and its weights from seed and name alone', () => {
    const { weights } = build(small(), [3, 8, 8])
    expect([...weights.get('stage2.block1.norm2/main/scale')!.floats]).toEqual(Array(8).fill(0))
    expect([...weights.get('stage2.block1.norm1/main/scale')!.floats]).toEqual(Array(8).fill(1))
    const deeper = build(small({ depth: 14 }), [3, 8, 8]).weights
    for (const [name, tensor] of weights) expect(deeper.get(name)!.floats).toEqual(tensor.floats)
  })

  it('shares convolutions between the branches of a mixture norm, and nothing of the norms', () => {
    const spec = small({ norm: { kind: 'mixture' } })
    const weights = new Map<string, Tensor>()
    const request = { spec, shape: [1, 8, 8] as const, classes: 3, weights, seed: 0 }
    const clean = resnet({ ...request, branch: 'clean' })
    const adv = resnet({ ...request, branch: 'adv' })
    expect(adv.initializers.get('stem.conv/kernel')).toBe(clean.initializers.get('stem.conv/kernel'))
    const own = (graph: Graph, branch: Branch): string[] =>
      [...graph.initializers.keys()].filter((name) => name.includes(`/${branch}/`))
    expect(own(clean, 'adv')).toEqual([])
    expect(own(adv, 'clean')).toEqual([])
    expect(own(clean, 'clean')).toHaveLength(own(adv, 'adv').length)
    expect(own(clean, 'clean')).toContain('stem.norm/clean/scale')
  })

  it('separates only statistics or only the affine part for ablation', () => {
    const names = (separate: string): string[] => [
      ...build(small({ norm: { kind: 'mixture', separate } }), [1, 8, 8], 'adv').weights.keys(),
    ]
    expect(names('statistics')).toEqual(
      expect.arrayContaining(['stem.norm/main/scale', 'stem.norm/adv/mean']),
    )
    expect(names('affine')).toEqual(expect.arrayContaining(['stem.norm/adv/scale', 'stem.norm/main/mean']))
  })

  it('normalises images inside the graph', async () => {
    const plain = build(small({ norm: { kind: 'none' } }), [3, 8, 8]).graph
    const { graph } = build(small({ norm: { kind: 'none' }, mean: [0.5, 0.4, 0.3], std: [0.5] }), [3, 8, 8])
    const image = Tensor.float32(
      [1, 3, 8, 8],
      Float32Array.from({ length: 192 }, (_, i) => (i % 7) / 7),
    )
    const shifted = image.floats.map((value, i) => (value - [0.5, 0.4, 0.3][Math.floor(i / 64)]!) / 0.5)
    const [actual, expected] = [
      await logits(graph, image),
      await logits(plain, Tensor.float32([1, 3, 8, 8], shifted)),
    ]
    for (const [i, value] of expected.floats.entries()) expect(actual.floats[i]).toBeCloseTo(value, 4)
  })

  it('denoises features by means over all positions, which start as nothing', async () => {
    const image = Tensor.float32(
      [2, 3, 8, 8],
      Float32Array.from({ length: 384 }, (_, i) => (i % 7) / 7),
    )
    const plain = await logits(build(small(), [3, 8, 8]).graph, image)
    for (const denoising of ['dot', 'gaussian']) {
      const { graph, weights } = build(small({ denoising }), [3, 8, 8])
      expect((await logits(graph, image)).floats).toEqual(plain.floats)
      const scale = weights.get('stage1.denoise.norm/main/scale')!
      graph.initializers.set('stage1.denoise.norm/main/scale', Tensor.float32(scale.dims, [1, 1, 1, 1]))
      const changed = await logits(graph, image)
      expect(changed.floats).not.toEqual(plain.floats)
      expect(changed.floats.every(Number.isFinite)).toBe(true)
    }
  })

  it('runs with every norm and activation', async () => {
    const image = Tensor.float32(
      [2, 3, 8, 8],
      Float32Array.from({ length: 384 }, (_, i) => (i % 7) / 7),
    )
    for (const kind of ['batch', 'group', 'instance', 'none'])
      for (const activation of ['relu', 'silu', 'softplus']) {
        const norm = kind === 'group' ? { kind, groups: 2 } : { kind }
        const answer = await logits(build(small({ norm, activation }), [3, 8, 8]).graph, image)
        expect(answer.dims).toEqual([2, 10])
        expect(answer.floats.every(Number.isFinite)).toBe(true)
      }
  })
})

describe('batchStatistics', () => {
  it("normalises by the batch and outputs each channel's mean and biased variance", async () => {
    const { graph } = build(small(), [1, 6, 6])
    const before = graph.nodes.length
    const form = batchStatistics(graph)
    expect(graph.nodes).toHaveLength(before)
    const image = Tensor.float32(
      [3, 1, 6, 6],
      Float32Array.from({ length: 108 }, (_, i) => Math.abs(Math.sin(i))),
    )
    const traced: Graph = {
      ...form.graph,
      outputs: [...form.graph.outputs, { name: 'stem.conv:out', dtype: 'float32', dims: null }],
    }
    const session = await openSession(modelOf(traced), { threads: 1 })
    const values = await session.run({ image })
    await session.release()
    const conv = values['stem.conv:out']!
    const [, channels, height, width] = conv.dims as [number, number, number, number]
    const channel = Array.from(conv.floats).filter(
      (_, i) => Math.floor(i / (height * width)) % channels === 1,
    )
    const mean = channel.reduce((sum, value) => sum + value, 0) / channel.length
    const variance = channel.reduce((sum, value) => sum + (value - mean) ** 2, 0) / channel.length
    expect(values['stem.norm/main/mean:batch']!.floats[1]).toBeCloseTo(mean, 5)
    expect(values['stem.norm/main/variance:batch']!.floats[1]).toBeCloseTo(variance, 5)
  })
})
