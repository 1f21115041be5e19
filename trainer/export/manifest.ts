import { type ModelManifest, modelManifestSchema, nameSchema } from '../../manifests/schema/model.ts'
import { parseAs } from '../../manifests/schema/parse.ts'
import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import type { Preprocessing } from '../export.ts'
import type { Branch } from '../resnet/layers.ts'
import type { Run } from '../run.ts'

/** A manifest but for `files`, which are known once they are written. */
export type Description = Omit<ModelManifest, 'files'>

export interface Exported {
  readonly run: Run
  /** Batches that the network was trained on. */
  readonly steps: number
  readonly branch: Branch
  readonly name: string | undefined
  readonly version: string | undefined
  readonly preprocessing: Preprocessing
  readonly opset: number
  readonly parameters: number
  readonly operations: number
}

/**
 * What there is to say of an exported network.
 *
 * @throws ZooError `invalid-manifest` where a name or version that was asked for is none
 */
export function describeExport(exported: Exported): Description {
  const { run, branch, parameters, operations, opset } = exported
  const { recipe, data } = run
  const { method } = recipe
  const threat = threatOf(method)
  const cleanRatio = cleanRatioOf(method)
  const suffix = branch === 'clean' ? '-clean' : ''
  const description = {
    schemaVersion: 1,
    name: exported.name ?? `${recipe.name}${suffix}`,
    version: exported.version ?? '1',
    description: recipe.description,
    ...architectureOf(run),
    parameters,
    flops: operations,
    opset,
    input: inputOf(exported),
    output: 'logits',
    classes: data.classes,
    dataset: nameOf(recipe.data.validation ?? recipe.data.train),
    branch,
    ...(threat && { threat }),
    method: methodText(method),
    recipe: { name: recipe.name, sha256: run.recipeSha256, seed: recipe.seed },
    trainingData: `${data.name} (${data.size} images, sha256 ${data.sha256}), ${exported.steps * recipe.batch} images seen`,
    ...(cleanRatio !== undefined && { cleanRatio }),
    licence: recipe.licence,
  }
  return parseAs(modelManifestSchema.omit({ files: true }), description, 'the manifest of the export')
}

function architectureOf({ recipe: { network }, from }: Run) {
  if (network.family === 'given') return { architecture: `that of ${from?.name ?? 'a given network'}` }
  const { depth, form, width, norm } = network
  const suffix = form === 'small' ? ` (width ${width})` : ''
  return { architecture: `ResNet-${depth}${suffix}`, depth, normalisation: norm.kind }
}

const methodText = (method: MethodSpec): string =>
  method.name === 'awp' ? `awp over ${method.method.name}` : method.name

/** Clean images beside the adversarial ones, for methods that train on both. */
function cleanRatioOf(method: MethodSpec): number | undefined {
  if (method.name === 'awp') return cleanRatioOf(method.method)
  // These show the network every image both ways.
  if (method.name === 'advprop' || method.name === 'fgsm-at') return 1
  return 'cleanRatio' in method ? method.cleanRatio : undefined
}

/** What training defended against, if anything. */
function threatOf(method: MethodSpec): Description['threat'] {
  if (method.name === 'awp') return threatOf(method.method)
  if ('attack' in method) {
    const { norm, eps, targeted } = method.attack
    return { norm, eps, targeted }
  }
  return 'eps' in method ? { norm: method.norm, eps: method.eps, targeted: false } : undefined
}

function inputOf({ run, preprocessing }: Exported): Description['input'] {
  const [channels, height, width] = run.data.shape
  const { mean, std } = { mean: [], std: [], ...run.recipe.network }
  const outside = preprocessing === 'manifest'
  return {
    range: [0, 1],
    channels: channels === 1 ? 'grey' : 'rgb',
    ...(outside && mean.length > 0 && { mean }),
    ...(outside && std.length > 0 && { std }),
    layout: 'nchw',
    size: [height, width],
    resize: 'bicubic',
    labelOffset: 0,
  }
}

/** The data set's own name, where the recipe gives a path or a part: `data/My Digits.npz` is `my-digits`. */
function nameOf(data: string): string {
  const last = data.split(/[\\/]/).filter(Boolean).at(-1) ?? ''
  const name = last.replace(/\.npz$/, '').replace(/:\w+$/, '')
  if (nameSchema.safeParse(name).success) return name
  const letters = name.toLowerCase().match(/[a-z0-9]+/g)
  return letters ? letters.join('-') : 'data'
}

/** What the file says of itself: it may travel without its manifest. */
export function metadataOf(manifest: Description): Map<string, string> {
  const { name, version, description, branch, recipe, input, classes, licence, trainingData, threat } =
    manifest
  return new Map([
    ['name', name],
    ['version', version],
    ['description', description],
    ['branch', branch],
    ['recipe', recipe!.name],
    ['recipe_sha256', recipe!.sha256],
    ['input', JSON.stringify(input)],
    ['output', manifest.output],
    ['classes', JSON.stringify(classes)],
    ['licence', licence],
    ['training_data', trainingData!],
    ...(threat ? [['threat', JSON.stringify(threat)] as const] : []),
  ])
}
