import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { prepareClassifier } from '../../../../converters/onnx/classifier.ts'
import { readModel } from '../../../../converters/onnx/file.ts'
import { lossGradient } from '../../../../converters/onnx/gradient/loss-gradient.ts'
import { openSession } from '../../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { needsTestData, testData } from '../../../data.ts'

const CASES = [
  'alexnet-cifar',
  'densenet',
  'efficientnet',
  'grayscale-mlp',
  'mobilenet-v2',
  'nhwc-uint8range-softmax',
  'norms',
  'resnet18-tiny',
  'vit',
]

describe(`logits, loss and gradient agree with PyTorch's${needsTestData}`, () => {
  for (const provider of ['cpu', 'cuda'] as const)
    test.skipIf(testData === undefined).each(CASES)(`%s, formulated for ${provider}`, async (name) => {
      const folder = join(testData!, 'gradient-conformance', name)
      const floats = (file: string): Float32Array => new Float32Array(bytesOf(join(folder, file)))
      const { shape, output } = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8'))
      const labels = new BigInt64Array(bytesOf(join(folder, 'y.i64')))
      const classifier = await prepareClassifier(await readModel(join(folder, 'model.onnx')))
      const model = await lossGradient(classifier, { loss: 'ce', provider })
      const session = await openSession(model)
      const x = floats('x.f32')
      const got = await session.run({
        [classifier.image]: Tensor.float32(shape, x),
        label: Tensor.int64([labels.length], labels),
      })
      const gradient = floats('grad.f32')
      const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      const telling = [...gradient.keys()].filter((i) => Math.abs(gradient[i]!) > 1e-4 * largest)
      const sameSign = telling.filter((i) => gradient[i]! * got.gradient!.floats[i]! > 0)
      expect(classifier.outputKind === 'probabilities').toBe(output === 'probabilities')
      expect(relativeError(got.loss!.floats, floats('loss.f32'))).toBeLessThan(1e-5)
      expect(relativeError(got.gradient!.floats, gradient)).toBeLessThan(1e-4)
      expect(sameSign.length / telling.length).toBeGreaterThan(0.999)

      // One image alone, through the same graph, has the same gradient: the batch axis stayed open.
      const size = x.length / labels.length
      const alone = await session.run({
        [classifier.image]: Tensor.float32([1, ...shape.slice(1)], x.slice(0, size)),
        label: Tensor.int64([1], labels.slice(0, 1)),
      })
      expect(relativeError(alone.gradient!.floats, gradient.slice(0, size))).toBeLessThan(1e-4)
      await session.release()
    })
})

const bytesOf = (path: string): ArrayBuffer => Uint8Array.from(readFileSync(path)).buffer

function relativeError(computed: Float32Array, known: Float32Array): number {
  let [difference, size] = [0, 0]
  for (const [i, value] of known.entries()) {
    difference += (computed[i]! - value) ** 2
    size += value ** 2
  }
  return Math.sqrt(difference / size)
}
