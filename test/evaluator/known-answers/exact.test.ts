import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { GraphBuilder } from '../../../converters/onnx/builder.ts'
import { writeModel } from '../../../converters/onnx/file.ts'
import { emptyGraph, modelOf } from '../../../converters/onnx/graph.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import type { NormName } from '../../../converters/perturb/norm.ts'
import { normals, uniforms } from '../../../converters/perturb/random.ts'
import { PROJECTIONS } from '../../../evaluator/attacks/fab/projection.ts'
import { readBattery } from '../../../manifests/batteries/read.ts'
import { writeNpz } from '../../npz.ts'
import { run } from './run.ts'

const dir = mkdtempSync(join(tmpdir(), 'zoo-exact-'))
afterAll(() => rmSync(dir, { recursive: true }))

const SHAPE = [3, 6, 6] as const
const SIZE = 108
const CLASSES = 6
const COUNT = 18
const BEYOND = 1.03

/** Rows of weights, one a class; grey has the logits 0. */
const WEIGHTS = Array.from({ length: CLASSES }, (_, k) =>
  normals([5, k], SIZE).map((value) => value / Math.sqrt(SIZE)),
)
const logitsOf = (x: Float32Array) =>
  WEIGHTS.map((w) => w.reduce((sum, weight, i) => sum + weight * (x[i]! - 0.5), 0))
/** Some near grey, some anywhere, some with many elements at the edges of [0,1], where there is no way on. */
const IMAGES = Array.from({ length: COUNT }, (_, n) =>
  uniforms([9, n], SIZE).map((value) => {
    if (n % 3 === 0) return 0.45 + 0.1 * value
    if (n % 3 === 1) return value
    return value < 0.3 ? 0 : value > 0.7 ? 1 : value
  }),
)
const LABELS = IMAGES.map((x) => logitsOf(x).indexOf(Math.max(...logitsOf(x))))

type Wrap = (b: GraphBuilder, value: string) => string
const asIs: Wrap = (_, value) => value

async function writeLinear(name: string, scale: number, before = asIs, after = asIs): Promise<string> {
  const graph = emptyGraph('linear')
  graph.inputs.push({ name: 'image', dtype: 'float32', dims: ['N', ...SHAPE] })
  const b = new GraphBuilder(graph)
  const columns = new Float32Array(SIZE * CLASSES)
  for (const [k, w] of WEIGHTS.entries())
    for (const [i, weight] of w.entries()) columns[i * CLASSES + k] = scale * weight
  graph.initializers.set('w', Tensor.float32([SIZE, CLASSES], columns))
  const centred = b.op('Sub', [b.op('Flatten', [before(b, 'image')], { axis: 1 }), b.scalar(0.5)])
  const logits = b.op('MatMul', [centred, 'w'])
  const out = b.op('Identity', [after(b, logits)], {}, { outputs: ['out'] })
  graph.outputs.push({ name: out, dtype: 'float32', dims: ['N', CLASSES] })
  const path = join(dir, name)
  await writeModel(modelOf(graph), path)
  return path
}

/** The exact distance, inside [0,1], to the nearest other class. */
function radiusOf(n: number, norm: NormName): number {
  const [x, label, z] = [IMAGES[n]!, LABELS[n]!, logitsOf(IMAGES[n]!)]
  return Math.min(
    ...WEIGHTS.flatMap((w, k) => {
      if (k === label) return []
      const difference = w.map((weight, i) => weight - WEIGHTS[label]![i]!)
      const way = new Float32Array(SIZE)
      const length = PROJECTIONS[norm](x, difference, z[label]! - z[k]!, way)
      const closed = difference.reduce((sum, weight, i) => sum + weight * way[i]!, 0)
      return closed >= 0.9999 * (z[label]! - z[k]!) ? [length] : []
    }),
  )
}

/** Every other image gets an eps that is just too small, by more than the rounding that the judge allows; every other one that is just enough. */
const images = (norm: NormName): string =>
  writeNpz(join(dir, `${norm}.npz`), {
    x: Float32Array.from(IMAGES.flatMap((x) => Array.from(x))),
    shape: [COUNT, ...SHAPE],
    y: LABELS,
    eps: IMAGES.map((_, n) => (n % 2 === 0 ? 0.99 * radiusOf(n, norm) - 2e-6 : BEYOND * radiusOf(n, norm))),
  })
const EXACT = IMAGES.map((_, n) => n % 2 === 0)
/** Square takes longest and needs no slope: it would hide what the others miss. */
const AUTOATTACK = readBattery('autoattack')
const WHITE_BOX = { ...AUTOATTACK, attacks: AUTOATTACK.attacks.filter(({ kind }) => kind !== 'square') }
const NORMS: NormName[] = ['linf', 'l2', 'l1']

describe('linear classifiers, whose radii are known exactly', () => {
  it.each(NORMS.flatMap((norm) => [1, 1e4].map((scale) => [norm, scale] as const)))(
    "autoattack's attacks with gradients find what is there in %s, and no more, with logits times %f",
    async (norm, scale) => {
      const model = await writeLinear(`${scale}.onnx`, scale)
      const { result, examples } = await run({
        model,
        data: images(norm),
        battery: WHITE_BOX,
        norm,
      })
      expect(result.clean.accuracy).toBe(1)
      expect(examples.map(({ robust }) => robust)).toEqual(EXACT)
    },
    180_000,
  )

  it.each(NORMS)('minimal-norm comes within three per cent of the exact radius in %s', async (norm) => {
    const { examples } = await run({
      model: await writeLinear('plain.onnx', 1),
      data: images(norm),
      battery: readBattery('minimal-norm'),
      norm,
    })
    expect(examples.map(({ robust }) => robust)).toEqual(EXACT)
  })
})
