import { describe, expect, it } from 'vitest'
import { parseGraph } from '../../../../converters/tfjs/graph/graphdef.ts'
import { inOrder } from '../../../../converters/tfjs/graph/lower.ts'
import { converted, operators } from '../models.ts'
import { flag, GraphFile, int, ints, type } from './file.ts'
import { convolved, image } from './suite.ts'

describe('shape arithmetic', () => {
  it('is done when the model is converted, the open batch included', async () => {
    const g = new GraphFile()
    const x = convolved(g, g.input('x', image))
    const shape = g.node('Shape', [x])
    const entry = (index: number): string =>
      g.node('StridedSlice', [shape, g.ints([index]), g.ints([index + 1]), g.ints([1])], {
        shrink_axis_mask: int(1),
      })
    const pixels = g.node('Mul', [entry(1), entry(2)])
    const flat = g.node('Reshape', [x, g.node('Pack', [entry(0), pixels, g.ints([3], [])])])
    const rows = g.node('Reshape', [
      flat,
      g.node('Pack', [g.node('Mul', [entry(0), entry(1)]), g.ints([-1], [])]),
    ])
    const { conversion, parity } = await converted(await g.save([flat, rows]))
    expect(parity.passed).toBe(true)
    expect(conversion.model.graph.outputs.map(({ dims }) => dims)).toEqual([
      ['N', 42, 3],
      [null, 18],
    ])
    expect(operators(conversion)).toMatchObject({ Reshape: 2 })
    expect(operators(conversion).Shape).toBeUndefined()
  })

  it('follows slices, joins, products and casts of sizes', async () => {
    const g = new GraphFile()
    const x = g.input('x', image)
    const shape = g.node('Shape', [x])
    const space = g.node('Slice', [shape, g.ints([1]), g.ints([2])])
    const float = g.node('Cast', [space], { DstT: type('DT_FLOAT') })
    const doubled = g.node('Cast', [g.node('Mul', [float, g.floats([1.5], [])])], { DstT: type('DT_INT32') })
    const resized = g.node('ResizeBilinear', [x, doubled], { half_pixel_centers: flag(true) })
    const all = g.node('Prod', [g.node('GatherV2', [shape, g.ints([1, 3]), g.ints([0], [])]), g.ints([0])])
    const one = g.node('ExpandDims', [all, g.ints([0], [])])
    const target = g.node('ConcatV2', [g.ints([-1]), one, g.ints([0], [])])
    const { conversion, parity } = await converted(await g.save([resized, g.node('Reshape', [x, target])]))
    expect(parity.passed).toBe(true)
    expect(conversion.model.graph.outputs.map(({ dims }) => dims)).toEqual([
      ['N', 10, 9, 3],
      [null, 21],
    ])
  })

  it('needs a fixed batch where the batch size becomes a value', async () => {
    const g = new GraphFile()
    const x = g.input('x', image)
    const batch = g.node('StridedSlice', [g.node('Shape', [x]), g.ints([0]), g.ints([1]), g.ints([1])])
    const y = g.node('Mul', [x, g.node('Cast', [batch], { DstT: type('DT_FLOAT') })])
    const path = await g.save([y])
    await expect(converted(path)).rejects.toMatchObject({
      code: 'unsupported-model',
      hint: 'where the batch size matters, --batch N fixes it',
    })
    expect((await converted(path, { batch: 4 })).parity.passed).toBe(true)
  })
})

describe('what cannot be converted', () => {
  it('is named all at once, wherever it stands', async () => {
    const g = new GraphFile()
    const x = g.input('x', image)
    const top = g.node('TopKV2', [x, g.ints([2], [])], {}, 'top')
    const other = g.node('Mystery', [x], {}, 'what')
    const fft = g.node('FFT', [top], {}, 'fft')
    await expect(converted(await g.save([fft, other]))).rejects.toMatchObject({
      code: 'unsupported-model',
      message:
        'the model cannot be converted: operator TopKV2 (top); operator FFT (fft); operator Mystery (what)',
    })
  })

  it('does not matter where no output needs it', async () => {
    const g = new GraphFile()
    const x = g.input('x', image)
    g.node('Mystery', [x])
    expect((await converted(await g.save([g.node('Relu', [x])]))).parity.passed).toBe(true)
  })

  it('are loops, of which all parts are named', async () => {
    const nodes = [
      { name: 'enter', op: 'Enter', input: ['start'] },
      { name: 'merge', op: 'Merge', input: ['enter', 'next'] },
      { name: 'next', op: 'NextIteration', input: ['merge'] },
      { name: 'start', op: 'Placeholder' },
    ]
    const order = inOrder(parseGraph({ node: nodes }), [{ node: 'merge', output: 0 }])
    expect(order.map(({ name }) => name).sort()).toEqual(['enter', 'merge', 'next', 'start'])
  })

  it('is a normalisation by the batch itself', async () => {
    const g = new GraphFile()
    const weights = ['a', 'b', 'c', 'd'].map((name) => g.weight(name, [3]))
    const y = g.node(
      'FusedBatchNormV3',
      [g.input('x', image), ...weights],
      { is_training: flag(true) },
      'norm',
    )
    await expect(converted(await g.save([y]))).rejects.toMatchObject({
      message: 'the model cannot be converted: a normalisation by the batch itself (FusedBatchNormV3 norm)',
    })
  })

  it('is a padding that the model computes', async () => {
    const g = new GraphFile()
    const x = g.input('x', image)
    const pads = g.node('Cast', [g.node('Sum', [x, g.ints([0, 1])])], { DstT: type('DT_INT32') })
    const y = g.node('Pad', [x, pads], {}, 'pad')
    await expect(converted(await g.save([y]))).rejects.toMatchObject({
      message: 'the model cannot be converted: pads that the model computes (Pad pad)',
    })
  })
})

describe('interface', () => {
  it('turns images at the border, if asked, and leaves the rest alone', async () => {
    const g = new GraphFile()
    const y = g.node('Conv2D', [g.input('x', image), g.weight('k', [3, 3, 3, 4])], {
      strides: ints([1, 1, 1, 1]),
      dilations: ints([1, 1, 1, 1]),
      padding: { s: Buffer.from('VALID').toString('base64') },
    })
    const { conversion, parity } = await converted(await g.save([y]), { layout: 'nchw' })
    expect(parity.passed).toBe(true)
    expect(operators(conversion)).toEqual({ Conv: 1 })
    expect(conversion.model.graph.outputs).toMatchObject([{ name: y, dims: ['N', 4, 5, 4] }])
  })

  it('gives a value twice, and an input itself, where the model does', async () => {
    const g = new GraphFile()
    const x = g.input('x', image)
    const y = g.node('Relu', [x])
    const { conversion, parity } = await converted(await g.save([y, g.node('Identity', [y]), x]))
    expect(parity.passed).toBe(true)
    expect(operators(conversion)).toEqual({ Relu: 1, Identity: 2 })
  })

  it('takes whole numbers where the model does', async () => {
    const g = new GraphFile()
    const x = g.input('x', [1, 4, 4, 3], 'DT_UINT8')
    const y = g.node('Mul', [g.node('Cast', [x], { DstT: type('DT_FLOAT') }), g.floats([1 / 255], [])])
    const { conversion, parity } = await converted(await g.save([y]))
    expect(parity.passed).toBe(true)
    expect(conversion.model.graph.inputs).toMatchObject([{ dtype: 'int32', dims: [1, 4, 4, 3] }])
  })
})
