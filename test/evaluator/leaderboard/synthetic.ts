import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

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
