import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ModelCard } from '../../../evaluator/leaderboard/tracks.ts'
import { modelManifestSchema } from '../../../manifests/schema/model.ts'
import type { Result } from '../../../manifests/schema/result.ts'

/**
 * Invented evaluations of models that don't exist, to test the board's machinery. Outcomes come from a plain
 * hash of model and image, so the same call gives the same bytes.
 */
export interface Invented {
  readonly name: string
  readonly images?: number
  /** Accuracies to aim at. */
  readonly clean: number
  readonly robust: number
  readonly dataset?: string
  readonly norm?: 'linf' | 'l2'
  readonly eps?: number
  readonly battery?: string
  readonly version?: string
  readonly aggregation?: 'worst-case' | 'each'
  readonly targeted?: boolean
  readonly seed?: number
  readonly flags?: readonly { name: string; reason: string }[]
  /** Name and iterations of each attack, accuracy falling towards `robust` along the list. */
  readonly attacks?: readonly (readonly [name: string, iterations?: number])[]
}

export const sha256 = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex')

/** In [0,1), decided by its arguments alone. */
const draw = (...key: (string | number)[]): number =>
  Number.parseInt(sha256(key.join('/')).slice(0, 8), 16) / 2 ** 32

/** Writes an invented ledger into `dir` and returns it. */
export function inventLedger(dir: string, invented: Invented): string {
  const {
    name,
    images = 200,
    clean,
    robust,
    dataset = 'synthetic',
    norm = 'linf',
    eps = 8 / 255,
    battery = 'quick',
    version = '1',
    aggregation = 'worst-case',
    targeted = false,
    seed = 0,
    flags = [],
    attacks = [
      ['pgd-ce', 20],
      ['pgd-margin', 20],
    ],
  } = invented
  // How hard an image is for everyone, plus what this model makes of it: so that pairs of models correlate.
  const hardness = (index: number) => 0.7 * draw('image', index) + 0.3 * draw(name, index)
  const order = Array.from({ length: images }, (_, i) => i).sort((a, b) => hardness(a) - hardness(b))
  const place = new Map(order.map((index, i) => [index, i / images]))
  const examples = Array.from({ length: images }, (_, index) => {
    const right = place.get(index)! < clean
    const stands = place.get(index)! < robust
    return {
      index,
      label: index % 10,
      clean: right,
      robust: stands,
      brokenBy: stands ? null : right ? attacks[index % attacks.length]![0] : 'clean',
      norm: stands ? null : right ? eps : 0,
      forwards: 40,
      backwards: 40,
    }
  })
  const share = (key: 'clean' | 'robust') => examples.filter((example) => example[key]).length / images
  const passes = (iterations = 0) => ({
    forwards: images * (iterations || 100),
    backwards: images * iterations,
  })
  const result: Result = {
    schemaVersion: 1,
    model: { name, sha256: sha256(name) },
    dataset: { name: dataset, sha256: sha256(dataset), examples: images, size: 10_000 },
    battery: { id: battery, version, aggregation, sha256: sha256(`${battery} ${version}`) },
    gradients: true,
    skipped: [],
    threat: { norm, eps, targeted },
    seed,
    provider: 'cpu',
    software: { 'robust-zoo': '0.1.0', 'onnxruntime-node': '1.30.0' },
    date: '2026-01-02T03:04:05Z',
    plan: sha256(`${name} ${battery} ${eps} ${seed}`),
    clean: { accuracy: share('clean'), interval: around(share('clean'), images) },
    robust: { accuracy: share('robust'), interval: around(share('robust'), images) },
    attacks: attacks.map(([attack, iterations], i) => {
      const left = (attacks.length - 1 - i) / attacks.length
      const accuracy = share('robust') + (share('clean') - share('robust')) * 0.4 * left
      return {
        name: attack,
        ...(iterations !== undefined && { iterations }),
        robustAccuracy: accuracy,
        interval: around(accuracy, images),
        seconds: 12.5 * (i + 1),
        ...passes(iterations),
      }
    }),
    curve: Array.from({ length: 12 }, (_, i) => ({
      backwards: i * i,
      accuracy: share('robust') + (share('clean') - share('robust')) * Math.exp(-i / 2),
    })),
    flags: [...flags],
  }
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, 'result.json'), JSON.stringify(result, null, 2))
  writeFileSync(join(dir, 'examples.json'), JSON.stringify(examples))
  return dir
}

/** Wilson's interval, written out once more so that the tests don't depend on the code they test. */
function around(p: number, n: number): [number, number] {
  const z = 1.959964
  const centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n)
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n))
  return [Math.max(0, centre - half), Math.min(1, centre + half)]
}

const MODELS = [
  ['resnet56-standard', 0.94, 0.02, 'batch', 56, 0.34],
  ['resnet56-advbn', 0.83, 0.51, 'mixture', 56, 0.34],
  ['resnet56-trades', 0.79, 0.52, 'batch', 56, 0.34],
  ['resnet56-groupnorm', 0.8, 0.5, 'group', 56, 0.34],
  ['resnet152-advbn', 0.85, 0.545, 'mixture', 152, 0.98],
  ['resnet638-advbn', 0.86, 0.57, 'mixture', 638, 3.2],
] as const

/** An invented board with every kind of track and chart: two batteries, three radii, cards, flags, a bare file. */
export function inventBoard(folder: string): { dirs: string[]; models: Map<string, ModelCard> } {
  const dirs: string[] = []
  const add = (invented: Invented) => {
    dirs.push(inventLedger(join(folder, String(dirs.length)), invented))
  }
  const flags = [{ name: 'zero-gradients', reason: '3 of 1000 images had a zero gradient at their start' }]
  const ladder = [10, 30, 100, 500, 2000].map((steps) => [`pgd-${steps}`, steps] as const)
  const common = { dataset: 'cifar10', images: 1000 }
  for (const [name, clean, robust] of MODELS) {
    const bad = name === 'resnet56-standard'
    for (const levels of [2, 4, 8])
      add({
        ...common,
        name,
        clean,
        robust: robust + (clean - robust) * (1 - levels / 8) * 0.7,
        eps: levels / 255,
        battery: 'autoattack',
        flags: bad ? flags : [],
        attacks: [['apgd-ce', 100], ['apgd-t', 100], ['fab-t', 100], ['square']],
      })
    add({
      ...common,
      name,
      clean,
      robust,
      eps: 16 / 255,
      battery: 'xie2020',
      targeted: true,
      aggregation: 'each',
      attacks: ladder,
    })
  }
  add({
    ...common,
    name: 'no-card_whose.file_has_a_name_without_any_end_wrn-94-16_final_v2_epoch300.onnx',
    clean: 0.7,
    robust: 0.3,
    battery: 'autoattack',
    attacks: [['apgd-ce', 100]],
  })
  return { dirs, models: new Map(MODELS.map((row) => [sha256(row[0]), inventCard(row)])) }
}

const inventCard = ([name, , , normalisation, depth, parameters]: (typeof MODELS)[number]): ModelCard => ({
  manifest: modelManifestSchema.parse({
    schemaVersion: 1,
    name,
    version: '1',
    description: 'An invented model: it exists only to test this page.',
    files: [{ path: 'model.onnx', size: 1, sha256: sha256(name) }],
    architecture: `resnet${depth}`,
    depth,
    parameters: parameters * 1e6,
    input: {},
    classes: ['a', 'b'],
    dataset: 'cifar10',
    normalisation,
    licence: 'Apache-2.0',
    authors: ['Nobody'],
  }),
})
