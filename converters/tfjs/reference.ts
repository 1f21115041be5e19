import type { io } from '@tensorflow/tfjs'
import { ZooError } from '../../manifests/error.ts'
import { Tensor } from '../onnx/tensor.ts'
import type { Conversion } from './convert.ts'
import type { Loadable } from './layers/convert.ts'
import type { TfjsModel } from './read.ts'

/** `wasm` is fast but has kernels that are wrong in places; `cpu` is slow, plain JavaScript, and what counts. */
export type ReferenceBackend = 'wasm' | 'cpu'

/** The original, run by tfjs itself. */
export interface Reference {
  readonly backend: ReferenceBackend
  /** Outputs by the names that the converted model gives them; feeds and results in tfjs's own layout. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>
  release(): void
}

type Tfjs = typeof import('@tensorflow/tfjs')

/**
 * Loads the original into tfjs, from its own files: weights are decoded by tfjs, not by us. Only a topology that is
 * newer than tfjs (Keras 3) is handed over as rewritten for the conversion.
 *
 * @throws ZooError `unsupported-model` where tfjs cannot load the original
 */
export async function openReference(
  source: TfjsModel,
  conversion: Conversion,
  backend: ReferenceBackend,
): Promise<Reference> {
  const tf = await import('@tensorflow/tfjs')
  // Without this the cpu backend greets on stderr.
  tf.enableProdMode()
  if (backend === 'wasm') await import('@tensorflow/tfjs-backend-wasm')
  if (!(await tf.setBackend(backend)))
    throw new ZooError('backend-unavailable', `tfjs has no ${backend} backend here`)
  try {
    const run =
      source.format === 'graph-model'
        ? await graphModel(tf, source, conversion)
        : await layersModel(tf, source, conversion)
    return { backend, ...run }
  } catch (cause) {
    throw beyondTfjs('load', cause as Error)
  }
}

/** Some models no version of tfjs has ever run: a softmax along an axis that is not the last, for one. */
const beyondTfjs = (what: 'load' | 'run', cause: Error): ZooError =>
  new ZooError('unsupported-model', `tfjs itself cannot ${what} the original: ${cause.message}`, {
    hint: 'without the original to compare with, --no-parity converts it unchecked',
    cause,
  })

type Runner = Omit<Reference, 'backend'>

async function graphModel(tf: Tfjs, source: TfjsModel, { outputs }: Conversion): Promise<Runner> {
  const artifacts = artifactsOf(source)
  const model = await tf.loadGraphModel({ load: async () => artifacts })
  return {
    run: (feeds) =>
      evaluated(tf, outputs, () => {
        const inputs = Object.fromEntries(
          Object.entries(feeds).map(([name, tensor]) => [name, toTfjs(tf, tensor)]),
        )
        const results = model.execute(
          inputs,
          outputs.map(({ original }) => `${original}`),
        )
        return Array.isArray(results) ? results : [results]
      }),
    release: () => model.dispose(),
  }
}

async function layersModel(tf: Tfjs, source: TfjsModel, conversion: Conversion): Promise<Runner> {
  const { inputs, outputs, loadable } = conversion
  const artifacts = { ...artifactsOf(source), ...(loadable && loadedAs(source, loadable)) }
  const model = await tf.loadLayersModel({ load: async () => artifacts })
  return {
    run: (feeds) =>
      evaluated(tf, outputs, () => {
        const results = model.predict(inputs.map(({ name }) => toTfjs(tf, feeds[name]!)))
        const all = Array.isArray(results) ? results : [results]
        return outputs.map(({ original }) => all[original as number]!)
      }),
    release: () => model.dispose(),
  }
}

/** Runs a model, reads its results and gives its memory back. */
async function evaluated(
  tf: Tfjs,
  outputs: Conversion['outputs'],
  compute: () => InstanceType<Tfjs['Tensor']>[],
): Promise<Record<string, Tensor>> {
  let results: InstanceType<Tfjs['Tensor']>[]
  try {
    results = tf.tidy(compute)
  } catch (cause) {
    throw beyondTfjs('run', cause as Error)
  }
  const entries = await Promise.all(
    outputs.map(async ({ name }, i) => [name, await fromTfjs(results[i]!)] as const),
  )
  tf.dispose(results)
  return Object.fromEntries(entries)
}

/** The files' contents as tfjs's own readers would hand them over. */
function artifactsOf({ json, weights }: TfjsModel): io.ModelArtifacts {
  const { bytes } = weights
  const artifacts = {
    ...json,
    weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
    weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
  }
  return artifacts as io.ModelArtifacts
}

function loadedAs(
  { json }: TfjsModel,
  { topology, weightNames }: Loadable,
): Pick<io.ModelArtifacts, 'modelTopology' | 'weightSpecs'> {
  const wanted = new Map([...weightNames].map(([name, inManifest]) => [inManifest, name]))
  const specs = json.weightsManifest.flatMap((group) => group.weights)
  return {
    modelTopology: topology,
    weightSpecs: specs.map((spec) => ({
      ...spec,
      name: wanted.get(spec.name) ?? spec.name,
    })) as io.WeightsManifestEntry[],
  }
}

const toTfjs = (tf: Tfjs, { dtype, dims, elements }: Tensor) =>
  tf.tensor(elements as Float32Array | Int32Array, [...dims], dtype as 'float32' | 'int32')

async function fromTfjs(tensor: InstanceType<Tfjs['Tensor']>): Promise<Tensor> {
  const data = (await tensor.data()) as Float32Array | Int32Array | Uint8Array
  if (tensor.dtype === 'float32')
    // A Boolean cast to float may still come as bytes.
    return Tensor.float32(tensor.shape, data instanceof Float32Array ? data : Float32Array.from(data))
  return Tensor.of(tensor.dtype as 'int32' | 'bool', tensor.shape, data)
}
