import { describe, expect, test } from 'vitest'
import { GraphBuilder } from '../../../../converters/onnx/builder.ts'
import { prepareClassifier } from '../../../../converters/onnx/classifier.ts'
import { lossGradient } from '../../../../converters/onnx/gradient/loss-gradient.ts'
import { selfTest } from '../../../../converters/onnx/gradient/self-test.ts'
import type { Model } from '../../../../converters/onnx/graph.ts'
import { claimName } from '../../../../converters/onnx/rename.ts'
import { tinyClassifier } from '../tiny.ts'

/** Tests the gradient of a small network after it went through `spoil`. */
async function tested(spoil?: (b: GraphBuilder, gradient: string) => string, batch: number | null = null) {
  const classifier = await prepareClassifier(tinyClassifier(), batch === null ? {} : { batch })
  const model = await lossGradient(classifier, { loss: 'ce' })
  const { image, shape, classes } = classifier
  return selfTest(spoil ? spoiled(model, spoil) : model, { image, shape, batch, classes, unit: true })
}

function spoiled(model: Model, spoil: (b: GraphBuilder, gradient: string) => string): Model {
  const graph = claimName({ ...model.graph, nodes: [...model.graph.nodes] }, 'gradient', 'correct')
  const b = new GraphBuilder(graph)
  b.op('Identity', [spoil(b, 'correct')], {}, { outputs: ['gradient'] })
  const outputs = graph.outputs.map((output) =>
    output.name === 'correct' ? { ...output, name: 'gradient' } : output,
  )
  return { ...model, graph: { ...graph, outputs } }
}

describe('the self-test', () => {
  test('passes a correct gradient, whatever the batch size', async () => {
    for (const batch of [null, 1, 3]) {
      const { passed, along, across, images } = await tested(undefined, batch)
      expect(passed).toBe(true)
      expect(along.relativeError).toBeLessThan(0.02)
      expect(across.relativeError).toBeLessThan(0.05)
      expect(images).toBeGreaterThanOrEqual(4)
    }
  })

  test('fails a gradient of the wrong size', async () => {
    const { passed, along } = await tested((b, gradient) => b.op('Mul', [gradient, b.scalar(1.2)]))
    expect(passed).toBe(false)
    expect(along.relativeError).toBeCloseTo(0.2, 1)
  })

  test('fails a gradient that misses a part, which only shows across it', async () => {
    const { passed, along, across } = await tested((b, gradient) =>
      b.op('Mul', [gradient, b.floats([1, 3, 1, 1], [1, 1, 0])]),
    )
    expect(passed).toBe(false)
    expect(along.relativeError).toBeLessThan(along.tolerance)
    expect(across.relativeError).toBeGreaterThan(across.tolerance)
  })

  test('fails a gradient that is zero: nothing was measured along it', async () => {
    const { passed, along } = await tested((b, gradient) => b.op('Mul', [gradient, b.scalar(0)]))
    expect(passed).toBe(false)
    expect(along.relativeError).toBeNull()
  })
})
