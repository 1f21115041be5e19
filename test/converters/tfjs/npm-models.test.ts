import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { prepareClassifier } from '../../../converters/onnx/classifier.ts'
import { lossGradient } from '../../../converters/onnx/gradient/loss-gradient.ts'
import { selfTest } from '../../../converters/onnx/gradient/self-test.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { checkParity } from '../../../converters/tfjs/check.ts'
import { type Conversion, convertTfjs } from '../../../converters/tfjs/convert.ts'
import type { InterfaceOptions } from '../../../converters/tfjs/interface.ts'
import { readTfjs } from '../../../converters/tfjs/read.ts'
import { randomSamples } from '../../../converters/tfjs/samples.ts'
import { silent } from '../../../manifests/progress.ts'
import { inputSchema } from '../../../manifests/schema/input.ts'
import { full } from '../../data.ts'
import { operators } from './models.ts'

/** A folder that `npm run fetch:tfjs-models` fills. */
const folder = process.env.ZOO_TFJS_MODELS
const why = folder === undefined ? ' (skipped: ZOO_TFJS_MODELS is not set; npm run fetch:tfjs-models)' : ''

async function convertedAlike(path: string, options: InterfaceOptions = {}): Promise<Conversion> {
  const source = await readTfjs(join(folder!, path))
  const conversion = convertTfjs(source, options)
  const session = await openSession(conversion.model)
  try {
    const samples = randomSamples(conversion.inputs, 4, [0, 1], 1)
    expect(
      await checkParity(source, conversion, session, { samples, tolerance: 1e-4, progress: silent }),
    ).toMatchObject({ passed: true })
    return conversion
  } finally {
    await session.release()
  }
}

/** Classifiers: file, the output with the scores, and how many transposes the converted model needs. */
const CLASSIFIERS: readonly [string, string, number][] = [
  ['nsfwjs-mobilenet_v2/model.json', 'dense_3', 1],
  ['nsfwjs-mobilenet_v2_mid/model.json', 'Identity', 1],
  ['nsfwjs-inception_v3/model.json', 'dense_3', 1],
  ['human/emotion.json', 'Identity', 0],
  ['human/gear.json', 'race_output', 1],
  ['human/gender.json', 'Identity', 0],
  ['human/liveness.json', 'activation_6', 2],
  ['human/faceres.json', 'age_pred/Softmax', 1],
]

/** Models of other kinds. */
const OTHERS = [
  'age',
  'antispoof',
  'blazeface',
  'efficientpose',
  'facemesh',
  'iris',
  'meet',
  'mobileface',
  'posenet',
]

const UNSUPPORTED: readonly [string, InterfaceOptions, string][] = [
  ['handtrack', { size: [64, 64] }, 'operator Enter'],
  ['movenet-lightning', {}, 'operator GatherNd'],
  ['centernet', {}, 'operator FloorMod (tower_0/mod_1, tower_0/mod)'],
]

describe.skipIf(folder === undefined)(`models that npm packages ship${why}`, () => {
  it('are there', () => {
    for (const [path] of CLASSIFIERS) expect(existsSync(join(folder!, path)), path).toBe(true)
  })

  it.each(CLASSIFIERS)(
    '%s converts, and its gradient can be taken',
    async (path, output, transposes) => {
      const conversion = await convertedAlike(path, { outputs: [output] })
      expect(operators(conversion).Transpose ?? 0).toBe(transposes)
      const input = inputSchema.parse({ layout: 'nhwc' })
      const classifier = await prepareClassifier(conversion.model, { input, open: openSession })
      expect(classifier.outputKind).toBe('probabilities')
      const { image, shape, batch, classes } = classifier
      const gradient = await lossGradient(classifier, { loss: 'ce', open: openSession })
      // Finite differences on large images take minutes.
      if (!full && shape[1]! > 64) return
      expect(
        await selfTest(gradient, { image, shape, batch, classes, unit: true, open: openSession }),
      ).toMatchObject({
        passed: true,
      })
    },
    120_000,
  )

  it.each(OTHERS)(
    '%s converts',
    async (name) => {
      await convertedAlike(`human/${name}.json`)
    },
    120_000,
  )

  it.each(UNSUPPORTED)('%s is refused with all that is missing', async (name, options, message) => {
    await expect(convertedAlike(`human/${name}.json`, options)).rejects.toMatchObject({
      code: 'unsupported-model',
      message: expect.stringContaining(message),
    })
  })
})
