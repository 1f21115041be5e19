import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { expect } from 'vitest'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { normals } from '../../../converters/perturb/random.ts'
import { type Conversion, convertTfjs } from '../../../converters/tfjs/convert.ts'
import type { InterfaceOptions } from '../../../converters/tfjs/interface.ts'
import { compare, type ParityReport } from '../../../converters/tfjs/parity.ts'
import { readTfjs } from '../../../converters/tfjs/read.ts'
import { openReference } from '../../../converters/tfjs/reference.ts'
import { randomSamples } from '../../../converters/tfjs/samples.ts'
import { silent } from '../../../manifests/progress.ts'

// Models are built and compared on the plain JavaScript backend, which greets on stderr unless told otherwise.
tf.enableProdMode()
await tf.setBackend('cpu')

export const temporaryFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'zoo-tfjs-'))

/** Saves a layers model as tfjs does, weights in one shard; answers the path of its model.json. */
export async function saved(model: tf.LayersModel): Promise<string> {
  const folder = await temporaryFolder()
  await model.save(
    tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData }) => {
      const json = {
        format: 'layers-model',
        modelTopology,
        weightsManifest: [{ paths: ['weights.bin'], weights: weightSpecs }],
      }
      await writeFile(join(folder, 'model.json'), JSON.stringify(json))
      await writeFile(join(folder, 'weights.bin'), new Uint8Array(weightData as ArrayBuffer))
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
    }),
  )
  return join(folder, 'model.json')
}

/** Gives every weight random values: fresh biases and statistics are zeros and ones, which hide mistakes. */
export function randomised<T extends tf.LayersModel>(model: T, seed = 1): T {
  const weights = model.weights.map((weight, i) => {
    const { shape, name } = weight
    const values = normals([seed, i], tf.util.sizeFromShape(shape as number[]))
    const scaled = values.map((value) => (/variance/.test(name) ? 0.5 + value * value : 0.5 * value))
    return tf.tensor(scaled, shape as number[])
  })
  model.setWeights(weights)
  tf.dispose(weights)
  return model
}

/** Converts a model and compares it with tfjs's plain JavaScript backend on random inputs in [-1,1]. */
export async function converted(
  path: string,
  options: InterfaceOptions = {},
  samples = 2,
): Promise<{ conversion: Conversion; parity: ParityReport }> {
  const source = await readTfjs(path)
  const conversion = convertTfjs(source, options)
  const reference = await openReference(source, conversion, 'cpu')
  const session = await openSession(conversion.model, { threads: 1 })
  try {
    const parity = await compare(reference, session, conversion, {
      samples: randomSamples(conversion.inputs, samples, [-1, 1], 7),
      tolerance: 1e-5,
      progress: silent,
    })
    return { conversion, parity }
  } finally {
    reference.release()
    await session.release()
  }
}

/** Saves, converts and compares; the outputs must agree and must not be nothing. */
export async function expectSame(model: tf.LayersModel, options: InterfaceOptions = {}): Promise<Conversion> {
  const { conversion, parity } = await converted(await saved(randomised(model)), options)
  for (const { magnitude } of parity.outputs) expect(magnitude).toBeGreaterThan(0)
  expect(parity).toMatchObject({ passed: true })
  return conversion
}

/** How many nodes of each operator a converted model has. */
export function operators({ model }: Conversion): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { opType } of model.graph.nodes) counts[opType] = (counts[opType] ?? 0) + 1
  return counts
}
