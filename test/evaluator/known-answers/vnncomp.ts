import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { testData } from '../../data.ts'
import { writeNpz } from '../../npz.ts'

export interface Instance {
  readonly id: string
  readonly model: string
  readonly dataset: 'cifar10' | 'mnist'
  readonly image_index: number
  readonly eps: number
  readonly mean: readonly number[]
  readonly std: readonly number[]
  readonly layout: 'nchw' | 'flat'
  readonly label: number
  readonly verdict: 'robust' | 'attackable' | 'disputed' | 'open'
  readonly counterexample?: { readonly offset_f32: number; readonly len: number }
}

const folder = join(testData ?? '', 'vnncomp')

/** Local-robustness instances of the VNN competitions, with the verdicts of independent verifiers. */
export const instances = (): Instance[] =>
  testData === undefined
    ? []
    : readFileSync(join(folder, 'instances.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Instance)

export const modelPath = ({ model }: Pick<Instance, 'model'>): string => join(folder, model)

/** Instances of one model, by its file's name. */
export function byModel(some: readonly Instance[]): Map<string, Instance[]> {
  const groups = new Map<string, Instance[]>()
  for (const instance of some) groups.set(instance.model, [...(groups.get(instance.model) ?? []), instance])
  return groups
}

export function inputOf({ mean, std, layout, dataset }: Instance): object {
  return { mean, std, layout, ...(dataset === 'mnist' && { size: [28, 28], channels: 'grey' }) }
}

/** Instances of one data set as an .npz with an eps of its own for each. */
export function npzOf(some: readonly Instance[], path: string): string {
  const mnist = some[0]!.dataset === 'mnist'
  const all = readFileSync(join(folder, mnist ? 'mnist_images.u8' : 'cifar10_images_hwc.u8'))
  const size = mnist ? 784 : 3072
  const x = new Uint8Array(some.length * size)
  for (const [i, { image_index }] of some.entries())
    x.set(all.subarray(image_index * size, (image_index + 1) * size), i * size)
  return writeNpz(path, {
    x,
    shape: mnist ? [some.length, 28, 28, 1] : [some.length, 32, 32, 3],
    y: some.map(({ label }) => label),
    eps: some.map(({ eps }) => eps),
  })
}

/** A published counterexample, in the net's own input space. */
export function counterexampleOf({ counterexample }: Instance): Float32Array {
  const bytes = readFileSync(join(folder, 'counterexamples.f32'))
  const { offset_f32, len } = counterexample!
  return new Float32Array(bytes.buffer, bytes.byteOffset + 4 * offset_f32, len).slice()
}
