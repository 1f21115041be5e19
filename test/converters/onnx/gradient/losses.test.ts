import { describe, expect, test } from 'vitest'
import { GraphBuilder } from '../../../../converters/onnx/builder.ts'
import { type Classifier, prepareClassifier } from '../../../../converters/onnx/classifier.ts'
import { type LossGradientOptions, lossGradient } from '../../../../converters/onnx/gradient/loss-gradient.ts'
import { emptyGraph, modelOf } from '../../../../converters/onnx/graph.ts'
import { openSession } from '../../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'

const CLASSES = 5

/** A classifier whose logits are its input, so that losses and their gradients can be computed by hand. */
async function identity(): Promise<Classifier> {
  const graph = emptyGraph('identity')
  graph.inputs.push({ name: 'z', dtype: 'float32', dims: ['N', CLASSES] })
  const y = new GraphBuilder(graph).op('Mul', ['z', new GraphBuilder(graph).scalar(1)])
  graph.outputs.push({ name: y, dtype: 'float32', dims: ['N', CLASSES] })
  return prepareClassifier(modelOf(graph))
}

interface Results {
  readonly loss: number[]
  readonly gradient: number[][]
}

async function evaluate(
  options: LossGradientOptions,
  logits: readonly (readonly number[])[],
  feeds: Record<string, Tensor>,
): Promise<Results> {
  const session = await openSession(await lossGradient(await identity(), options))
  const n = logits.length
  const out = await session.run({ z: Tensor.float32([n, CLASSES], logits.flat()), ...feeds })
  await session.release()
  expect(out.logits!.numbers).toEqual(Array.from(Float32Array.from(logits.flat())))
  const gradient = out.gradient!.numbers
  return {
    loss: out.loss!.numbers,
    gradient: logits.map((_, i) => gradient.slice(i * CLASSES, (i + 1) * CLASSES)),
  }
}

const Z = [
  [1, 2.5, -0.5, 0.3, 2],
  [3, -1, 0.2, 0.7, -2],
]
const LABEL = [1, 3]
const TARGET = [0, 4]
const labels = Tensor.int64([2], LABEL)
const targets = Tensor.int64([2], TARGET)

const softmax = (z: readonly number[]): number[] => {
  const e = z.map((value) => Math.exp(value - Math.max(...z)))
  const sum = e.reduce((a, b) => a + b)
  return e.map((value) => value / sum)
}
const crossEntropy = (z: readonly number[], y: number): number => -Math.log(softmax(z)[y]!)
const hot = (y: number): number[] => Array.from({ length: CLASSES }, (_, k) => (k === y ? 1 : 0))
const sorted = (z: readonly number[]): number[] => z.toSorted((a, b) => b - a)
const margin = (z: readonly number[], y: number): number => Math.max(...z.filter((_, k) => k !== y)) - z[y]!

function expectClose(computed: readonly number[], known: readonly number[]): void {
  expect(computed.length).toBe(known.length)
  for (const [i, value] of known.entries()) expect(computed[i]).toBeCloseTo(value, 5)
}

/** Central differences of the formula in float64. */
const slope = (formula: (z: readonly number[]) => number, z: readonly number[]): number[] =>
  z.map((_, k) => {
    const at = (h: number): number => formula(z.map((value, j) => (j === k ? value + h : value)))
    return (at(1e-5) - at(-1e-5)) / 2e-5
  })

const FORMULAS: Record<
  string,
  { feeds: Record<string, Tensor>; value: (z: readonly number[], i: number) => number }
> = {
  ce: { feeds: { label: labels }, value: (z, i) => crossEntropy(z, LABEL[i]!) },
  'targeted-ce': { feeds: { target: targets }, value: (z, i) => -crossEntropy(z, TARGET[i]!) },
  margin: { feeds: { label: labels }, value: (z, i) => margin(z, LABEL[i]!) },
  'targeted-margin': { feeds: { target: targets }, value: (z, i) => -margin(z, TARGET[i]!) },
  dlr: {
    feeds: { label: labels },
    value: (z, i) => margin(z, LABEL[i]!) / (sorted(z)[0]! - sorted(z)[2]!),
  },
  'targeted-dlr': {
    feeds: { label: labels, target: targets },
    value: (z, i) => {
      const [first, , third, fourth] = sorted(z) as [number, number, number, number]
      return (z[TARGET[i]!]! - z[LABEL[i]!]!) / (first - (third + fourth) / 2)
    },
  },
}

describe('losses and their gradients are what their papers say', () => {
  test.each(Object.keys(FORMULAS))('%s', async (loss) => {
    const { feeds, value } = FORMULAS[loss]!
    const results = await evaluate({ loss: loss as 'ce' }, Z, feeds)
    expectClose(
      results.loss,
      Z.map((z, i) => value(z, i)),
    )
    for (const [i, z] of Z.entries())
      expectClose(
        results.gradient[i]!,
        slope((moved) => value(moved, i), z),
      )
  })

  test('kl', async () => {
    const p = [softmax([0.1, 0.2, 0.3, 0.4, 0.5]), [0, 0.5, 0.5, 0, 0]]
    const results = await evaluate({ loss: 'kl' }, Z, { probabilities: Tensor.float32([2, 5], p.flat()) })
    const value = (z: readonly number[], i: number): number =>
      p[i]!.reduce((sum, q, k) => (q === 0 ? sum : sum + q * (Math.log(q) - Math.log(softmax(z)[k]!))), 0)
    expectClose(
      results.loss,
      Z.map((z, i) => value(z, i)),
    )
    for (const [i, z] of Z.entries())
      expectClose(
        results.gradient[i]!,
        softmax(z).map((q, k) => q - p[i]![k]!),
      )
  })

  test('linear', async () => {
    const weights = [
      [1, -1, 0, 0, 2],
      [0, 0, 3, 0, 0],
    ]
    const results = await evaluate({ loss: 'linear' }, Z, { weights: Tensor.float32([2, 5], weights.flat()) })
    expectClose(results.loss, [1 - 2.5 + 4, 0.6])
    expect(results.gradient).toEqual(weights)
  })
})

describe('numerics', () => {
  test('cross-entropy of large logits neither overflows nor loses its gradient', async () => {
    const z = [
      [1e4, -1e4, 0, 0, 0],
      [1e30, 0, 0, 0, -1e30],
    ]
    const { loss, gradient } = await evaluate({ loss: 'ce' }, z, { label: Tensor.int64([2], [1, 4]) })
    expectClose([loss[0]! / 2e4, loss[1]! / 2e30], [1, 1])
    expect(gradient).toEqual([
      [1, -1, 0, 0, 0],
      [1, 0, 0, 0, -1],
    ])
  })

  test('where the model is certain, loss and gradient are small but not zero', async () => {
    const z = [30, 0, 0, 0, 0]
    const { loss, gradient } = await evaluate({ loss: 'ce' }, [z], { label: Tensor.int64([1], [0]) })
    const each = Math.exp(-30)
    expect(loss[0]! / (4 * each)).toBeCloseTo(1, 4)
    for (const [k, value] of [-4, 1, 1, 1, 1].entries()) expect(gradient[0]![k]! / each).toBeCloseTo(value, 4)
  })

  test('where the exponential itself vanishes, cross-entropy keeps its direction and its order', async () => {
    const z = [500, 20, 0, 0, 0]
    const { loss, gradient } = await evaluate({ loss: 'ce' }, [z, z.map((value) => 20 * value)], {
      label: Tensor.int64([2], [0, 0]),
    })
    for (const slope of gradient) {
      expect(slope[1]! / -slope[0]!).toBeCloseTo(1, 4)
      expect(slope[1]).toBeGreaterThan(0)
    }
    expect(loss[0]).toBeGreaterThan(loss[1]!)
  })

  test('dlr of equal logits is finite', async () => {
    const { loss, gradient } = await evaluate({ loss: 'dlr' }, [[1, 1, 1, 1, 1]], {
      label: Tensor.int64([1], [0]),
    })
    expect(loss).toEqual([0])
    expect(gradient[0]!.every(Number.isFinite)).toBe(true)
  })
})

test('a label offset is added within the graph', async () => {
  const { gradient } = await evaluate({ loss: 'margin', labelOffset: 1 }, Z, {
    label: Tensor.int64([2], [0, 2]),
  })
  expect(gradient).toEqual([
    hot(4).map((value, k) => value - hot(1)[k]!),
    hot(0).map((value, k) => value - hot(3)[k]!),
  ])
})

test('a fixed batch leaves no shape arithmetic in the graph', async () => {
  const model = await lossGradient(await identity(), { loss: 'ce', batch: 3 })
  expect(model.graph.inputs.map(({ name, dims }) => [name, dims])).toEqual([
    ['z', [3, 5]],
    ['label', [3]],
  ])
  expect(model.graph.nodes.some((node) => node.opType === 'Shape')).toBe(false)
  expect(model.graph.outputs.map(({ name }) => name)).toEqual(['logits', 'loss', 'gradient'])
})

test('losses that need more classes than there are say so', async () => {
  const classifier = { ...(await identity()), classes: 3 }
  await expect(lossGradient(classifier, { loss: 'targeted-dlr' })).rejects.toMatchObject({ code: 'usage' })
})
