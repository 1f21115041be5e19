import type { DataSet } from '../../../converters/data/dataset.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { uniforms } from '../../../converters/perturb/random.ts'
import { recipeSchema } from '../../../manifests/schema/recipe.ts'
import { writeCheckpoint } from '../../../trainer/checkpoint/checkpoint.ts'
import { claimFolder, networkOf, planRun } from '../../../trainer/run.ts'

/** Colour images [3, 8, 8] of noise, in classes by turns. */
export function noise(size: number, classes = 3): DataSet {
  return {
    name: 'noise',
    sha256: 'a'.repeat(64),
    size,
    shape: [3, 8, 8],
    classes: Array.from({ length: classes }, (_, k) => `class ${k}`),
    async read(indices) {
      const images = new Float32Array(indices.length * 192)
      for (const [row, index] of indices.entries()) images.set(uniforms([index], 192), row * 192)
      return { images, labels: Int32Array.from(indices, (index) => index % classes) }
    },
  }
}

export interface Saved {
  /** Of the network, beside a ResNet-8 of width 4. */
  readonly network?: object
  readonly data?: string
  /** Multiplies the classifier's kernel. */
  readonly logitScale?: number
  /** Also keeps a moving average of the classifier's bias, of this value. */
  readonly averageBias?: number
}

/** A folder as `zoo train` leaves it, after 5 batches; every weight is drawn, statistics and scales too. */
export async function savedRun(folder: string, saved: Saved = {}): Promise<string> {
  const recipe = recipeSchema.parse({
    schemaVersion: 1,
    name: 'tiny',
    description: 'A tiny network of drawn weights.',
    source: 'ours',
    data: { train: saved.data ?? 'noise:train', validation: saved.data ?? 'noise' },
    network: { family: 'resnet', form: 'small', depth: 8, width: 4, ...saved.network },
    method: { name: 'pgd-at', attack: { eps: '8/255', step: '2/255', steps: 2 }, cleanRatio: 1 },
    optimiser: { learningRate: 0.1, schedule: { kind: 'constant' } },
    batch: 16,
    duration: { steps: 5 },
    licence: 'CC-BY-4.0',
  })
  const run = planRun(recipe, noise(80))
  await claimFolder(folder, run)
  const tensors = new Map<string, Tensor>()
  for (const [i, { name, role, value }] of (await networkOf(run, folder)).weights.entries()) {
    const drawn = Float32Array.from(uniforms([i, 7], value.size), (u) => u + 0.5)
    const scale = name === 'classifier/kernel' ? (saved.logitScale ?? 1) : 1
    const kernel = value.floats.map((weight) => weight * scale)
    tensors.set(`weight/${name}`, Tensor.float32(value.dims, role === 'kernel' ? kernel : drawn))
  }
  if (saved.averageBias !== undefined)
    tensors.set('average/classifier/bias', Tensor.float32([3], Array(3).fill(saved.averageBias)))
  await writeCheckpoint(folder, {
    plan: run.recipeSha256,
    backend: 'wasm',
    step: 5,
    seconds: 1,
    history: [],
    tensors,
  })
  return folder
}
