import { basename } from 'node:path'
import { ZooError } from '../../../manifests/error.ts'
import { type ModelManifest, modelManifestSchema } from '../../../manifests/schema/model.ts'
import { parseAs } from '../../../manifests/schema/parse.ts'
import { sha256Of } from '../store/hash.ts'
import { type Descriptor, IMAGE_MANIFEST, type ImageManifest, imageManifestSchema } from './descriptor.ts'

/**
 * A model as an OCI artifact in the form of the CNCF ModelPack specification: the weights as raw layers, the zoo's own
 * manifest as their configuration, what is left to read as one tar.
 */
export const MODEL_ARTIFACT = 'application/vnd.cncf.model.manifest.v1+json'
const CONFIG = 'application/vnd.cncf.model.config.v1+json'
const WEIGHT = 'application/vnd.cncf.model.weight.v1.raw'
const WEIGHT_CONFIG = 'application/vnd.cncf.model.weight.config.v1.raw'
const DOCUMENTS = 'application/vnd.cncf.model.doc.v1.tar'
const FILE_PATH = 'org.cncf.model.filepath'

/** The zoo's manifest of a model, in its folder and as a layer. */
export const MANIFEST_FILE = 'manifest.json'
/** The path that the layer of documents has. */
const DOCUMENTS_FILE = 'documents.tar'

/** Whether a file belongs to the documents: what people read, not what a runtime loads. */
export const isDocument = (path: string): boolean => /\.(md|txt|json|csv|html|svg|png|jpe?g|pdf)$/i.test(path)

export const manifestBytes = (manifest: ModelManifest): Buffer =>
  Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)

export const describe = (mediaType: string, bytes: Uint8Array): Descriptor => ({
  mediaType,
  digest: `sha256:${sha256Of(bytes)}`,
  size: bytes.byteLength,
})

/** Everything that a model's artifact consists of; the same model gives the same bytes wherever it is packed. */
export interface Packed {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
  readonly config: { readonly descriptor: Descriptor; readonly bytes: Buffer }
  readonly card: { readonly descriptor: Descriptor; readonly bytes: Buffer }
  readonly image: ImageManifest
}

/**
 * @param documents the tar of those files that are documents, where there are any
 */
export function packModel(
  manifest: ModelManifest,
  documents: { sha256: string; size: number } | undefined,
): Packed {
  const cardBytes = manifestBytes(manifest)
  const card = withPath(describe(WEIGHT_CONFIG, cardBytes), MANIFEST_FILE)
  const weights = manifest.files
    .filter((file, i) => i === 0 || !isDocument(file.path))
    .map(({ path, size, sha256 }) => withPath({ mediaType: WEIGHT, digest: `sha256:${sha256}`, size }, path))
  const layers = [...weights, card]
  if (documents)
    layers.push(
      withPath(
        { mediaType: DOCUMENTS, digest: `sha256:${documents.sha256}`, size: documents.size },
        DOCUMENTS_FILE,
      ),
    )
  const configBytes = Buffer.from(JSON.stringify(modelConfig(manifest, layers)))
  const config = describe(CONFIG, configBytes)
  const image: ImageManifest = {
    schemaVersion: 2,
    mediaType: IMAGE_MANIFEST,
    artifactType: MODEL_ARTIFACT,
    config,
    layers,
    annotations: {
      'org.opencontainers.image.title': manifest.name,
      'org.opencontainers.image.version': manifest.version,
      'org.opencontainers.image.description': manifest.description,
      'org.opencontainers.image.licenses': manifest.licence,
    },
  }
  const bytes = Buffer.from(JSON.stringify(image))
  return {
    descriptor: { ...describe(IMAGE_MANIFEST, bytes), artifactType: MODEL_ARTIFACT },
    bytes,
    config: { descriptor: config, bytes: configBytes },
    card: { descriptor: card, bytes: cardBytes },
    image,
  }
}

function modelConfig(manifest: ModelManifest, layers: readonly Descriptor[]): unknown {
  const { name, version, description, licence, authors, paper, architecture, parameters } = manifest
  return {
    descriptor: {
      ...{ name, version, description, authors, licenses: [licence] },
      ...(paper === undefined ? {} : { docURL: paper }),
    },
    config: {
      ...{ architecture, format: 'onnx', paramSize: String(parameters), precision: 'float32' },
      capabilities: { inputTypes: ['image'], outputTypes: ['other'] },
    },
    modelfs: { type: 'layers', diffIds: layers.map(({ digest }) => digest) },
  }
}

const withPath = (descriptor: Descriptor, path: string): Descriptor => ({
  ...descriptor,
  annotations: { [FILE_PATH]: path },
})

/** An artifact's layers by what they are. */
export interface Unpacked {
  readonly image: ImageManifest
  readonly card: Descriptor
  readonly weights: ReadonlyMap<string, Descriptor>
  readonly documents: Descriptor | undefined
}

/** @throws ZooError `invalid-manifest` where it isn't a model that the zoo can use */
export function unpackModel(bytes: Buffer, what: string): Unpacked {
  const image = parseAs(imageManifestSchema, JSON.parse(bytes.toString()), what)
  if (image.artifactType !== MODEL_ARTIFACT)
    throw new ZooError(
      'invalid-manifest',
      `${what} is not a model but ${image.artifactType ?? 'a container image'}`,
    )
  const layers = new Map(image.layers.map((layer) => [layer.annotations?.[FILE_PATH] ?? '', layer]))
  const card = layers.get(MANIFEST_FILE)
  if (card === undefined)
    throw new ZooError('invalid-manifest', `${what} has no ${MANIFEST_FILE}`, {
      hint: 'it was not published by zoo push: get its .onnx file with another tool and give zoo the path',
    })
  const weights = [...layers].filter(([, { mediaType }]) => mediaType === WEIGHT)
  return { image, card, weights: new Map(weights), documents: layers.get(DOCUMENTS_FILE) }
}

/** The zoo's manifest from its layer, held against the layers: what it says of a file is what the artifact holds. */
export function readCard(bytes: Buffer, { weights }: Pick<Unpacked, 'weights'>, what: string): ModelManifest {
  const manifest = parseAs(modelManifestSchema, JSON.parse(bytes.toString()), `${MANIFEST_FILE} of ${what}`)
  for (const [i, { path, sha256, size }] of manifest.files.entries()) {
    if (i > 0 && isDocument(path)) continue
    const layer = weights.get(path)
    if (layer?.digest !== `sha256:${sha256}` || layer.size !== size)
      throw new ZooError('integrity', `${what} does not hold the ${basename(path)} that its manifest names`)
  }
  return manifest
}
