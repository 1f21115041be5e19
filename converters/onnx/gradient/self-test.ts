import { ZooError } from '../../../manifests/error.ts'
import { uniforms } from '../../perturb/random.ts'
import { describe, type Model } from '../graph.ts'
import { prune } from '../prune.ts'
import { openSession } from '../runtime/open.ts'
import type { Session } from '../runtime/session.ts'
import { Tensor } from '../tensor.ts'
import type { ProbeOptions } from './probe.ts'

export interface SelfTestOptions {
  /** Name and shape of the image input. */
  readonly image: string
  readonly shape: readonly number[]
  /** The batch size that the graph takes, or null if it takes any. */
  readonly batch: number | null
  readonly classes: number
  /** True if images are known to lie in [0,1]. */
  readonly unit: boolean
  readonly open?: ProbeOptions['open']
}

/** Relative errors |measured - computed| / |measured| over some directions. */
export interface Agreement {
  /** The median over the images; null if float32 shows no slope at any of them. */
  readonly relativeError: number | null
  /** The largest error that passes. */
  readonly tolerance: number
}

export interface SelfTest {
  readonly passed: boolean
  /** Along the gradient with random elements left out: the slope is steep there and can be measured well. */
  readonly along: Agreement
  /** Along random signs, where an element that is wrongly zero would show. */
  readonly across: Agreement
  /** Images at which a slope along the gradient could be measured. */
  readonly images: number
}

/**
 * What float32 allows: small steps drown in rounding, large ones cross the kinks of ReLU and max pooling, which
 * matters more the flatter the direction. A wrong gradient is off by its own size.
 */
const TOLERANCE = { along: 0.1, across: 0.25 }
const DIRECTIONS = 6
/** As parts of an image's amplitude. */
const STEPS = [1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]
/** A difference counts as measured if it is so many times the rounding error of what is subtracted. */
const ABOVE_ROUNDING = 100
/** How far two steps' slopes may differ, as a fraction. */
const AGREEMENT = 0.1
/**
 * Noise of these amplitudes on this part of the pixels: some networks are dead unless most of an image is dark. Dark
 * pixels have faint noise: of equal ones any may be the largest, and finite differences see the kink between them.
 */
const FAINT = 0.02
const IMAGES = [
  { amplitude: 1, lit: 1 },
  { amplitude: 0.3, lit: 0.15 },
  { amplitude: 1, lit: 0.05 },
  { amplitude: 0.1, lit: 0.05 },
]
/** Where nobody says what the model's pixels range over, they may go up to 255. */
const BRIGHT_IMAGES = [
  { amplitude: 255, lit: 1 },
  { amplitude: 255, lit: 0.05 },
]

/**
 * Compares the gradient in a graph of `lossGradient` with central finite differences of its loss along several
 * directions.
 */
export async function selfTest(model: Model, options: SelfTestOptions): Promise<SelfTest> {
  const { open = openSession } = options
  const rounding = model.graph.nodes.find((node) => node.opType === 'QuantizeLinear')
  if (rounding)
    throw new ZooError(
      'unsupported-model',
      `finite differences cannot check a model that rounds: ${describe(rounding)}`,
      {
        hint: 'quantised values get the gradient of the numbers they stand for',
      },
    )
  const outputs = model.graph.outputs.filter(({ name }) => name === 'loss')
  const full = await open(model, {})
  const forward = await open({ ...model, graph: prune({ ...model.graph, outputs }) }, {})
  try {
    const errors: Record<'along' | 'across', number[]> = { along: [], across: [] }
    const kinds = options.unit ? IMAGES : [...IMAGES, ...BRIGHT_IMAGES]
    const perRun = options.batch ?? kinds.length
    for (let first = 0; first < kinds.length; first += perRun)
      for (const direction of ['along', 'across'] as const)
        errors[direction].push(
          ...(await compare(full, forward, options, { kinds, first, perRun, direction })),
        )
    const along = { relativeError: median(errors.along), tolerance: TOLERANCE.along }
    const across = { relativeError: median(errors.across), tolerance: TOLERANCE.across }
    const passed = along.relativeError !== null && agrees(along) && agrees(across)
    return { passed, along, across, images: errors.along.length }
  } finally {
    await full.release()
    await forward.release()
  }
}

interface Part {
  readonly kinds: typeof IMAGES
  readonly first: number
  readonly perRun: number
  readonly direction: 'along' | 'across'
}

/** The relative error at each image of one batch. */
async function compare(
  full: Session,
  forward: Session,
  { image, shape, classes }: SelfTestOptions,
  { kinds, first, perRun, direction }: Part,
): Promise<number[]> {
  const size = shape.reduce((a, b) => a * b, 1)
  const dims = [perRun, ...shape]
  const kindOf = (i: number) => kinds[(first + Math.floor(i / size)) % kinds.length]!
  const coins = uniforms([SEED, first, 0], perRun * size)
  const x = uniforms([SEED, first], perRun * size).map(
    (value, i) => value * kindOf(i).amplitude * (coins[i]! < kindOf(i).lit ? 1 : FAINT),
  )
  const pixels = Tensor.float32(dims, x)
  const anyLabel = Tensor.int64([perRun], new BigInt64Array(perRun))
  const logits = (await full.run({ [image]: pixels, label: anyLabel })).logits!
  const label = argmax(logits, classes)
  const { gradient, loss } = await full.run({ [image]: pixels, label })
  const rounding = roundingOf(loss!.floats, logits.floats, classes)
  const lossAt = async (moved: Float32Array): Promise<Float32Array> =>
    (await forward.run({ [image]: Tensor.float32(dims, moved), label })).loss!.floats
  const squares = Array.from({ length: perRun }, () => ({ difference: 0, measured: 0 }))
  for (let d = 1; d <= DIRECTIONS; d++) {
    const draws = uniforms([SEED, first, d], x.length)
    const unit =
      direction === 'along' ? thinned(gradient!.floats, size, draws) : draws.map((u) => (u < 0.5 ? -1 : 1))
    const v = unit.map((value, i) => value * kindOf(i).amplitude)
    const measured = await slopes(lossAt, x, v, rounding)
    for (const [i, square] of squares.entries()) {
      if (measured[i] === undefined) continue
      let computed = 0
      for (let j = i * size; j < (i + 1) * size; j++) computed += gradient!.floats[j]! * v[j]!
      square.difference += (measured[i] - computed) ** 2
      square.measured += measured[i] ** 2
    }
  }
  return squares
    .filter(({ measured }) => measured > 0)
    .map(({ difference, measured }) => Math.sqrt(difference / measured))
}

/**
 * Size of each loss's rounding error: its own, and that of the logits as far as they move it. At the predicted class
 * cross-entropy moves by 1 - exp(-loss), little where the model is certain; losses that are negative there by about 1.
 */
function roundingOf(losses: Float32Array, logits: Float32Array, classes: number): number[] {
  return Array.from(losses, (loss, i) => {
    const largest = logits
      .subarray(i * classes, (i + 1) * classes)
      .reduce((most, z) => Math.max(most, Math.abs(z)), 0)
    const sensitivity = loss >= 0 ? 1 - Math.exp(-loss) : 1
    return 2 ** -23 * (Math.abs(loss) + largest * sensitivity)
  })
}

const SEED = 20200301

/** The predicted classes. */
function argmax(logits: Tensor, classes: number): Tensor {
  const rows = Array.from({ length: logits.size / classes }, (_, i) =>
    logits.floats.subarray(i * classes, (i + 1) * classes),
  )
  return Tensor.int64(
    [rows.length],
    rows.map((row) => row.indexOf(Math.max(...row))),
  )
}

const agrees = ({ relativeError, tolerance }: Agreement): boolean =>
  relativeError === null || relativeError <= tolerance

const median = (values: readonly number[]): number | null =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? null

/**
 * Each image's slope along its part of `v`, where it can be measured: from the two smallest neighbouring steps that both
 * stand out from rounding and agree with one another. The computed gradient has no say in that.
 */
async function slopes(
  lossAt: (pixels: Float32Array) => Promise<Float32Array>,
  x: Float32Array,
  v: Float32Array,
  rounding: readonly number[],
): Promise<(number | undefined)[]> {
  const found: (number | undefined)[] = rounding.map(() => undefined)
  let smaller: (number | undefined)[] = rounding.map(() => undefined)
  for (const step of STEPS) {
    const ahead = await lossAt(x.map((value, i) => value + step * v[i]!))
    const behind = await lossAt(x.map((value, i) => value - step * v[i]!))
    const slope = rounding.map((error, i) => {
      const difference = ahead[i]! - behind[i]!
      return Math.abs(difference) > ABOVE_ROUNDING * error ? difference / (2 * step) : undefined
    })
    for (const [i, larger] of slope.entries()) found[i] ??= agreeing(smaller[i], larger)
    if (found.every((value) => value !== undefined)) break
    smaller = slope
  }
  return found
}

function agreeing(smaller: number | undefined, larger: number | undefined): number | undefined {
  if (smaller === undefined || larger === undefined) return undefined
  return Math.abs(smaller - larger) <= AGREEMENT * Math.abs(smaller) ? smaller : undefined
}

/** Half of each image's gradient, scaled so that its largest element is 1. */
function thinned(gradient: Float32Array, size: number, coins: Float32Array): Float32Array {
  const v = new Float32Array(gradient.length)
  for (let start = 0; start < v.length; start += size) {
    const own = gradient.subarray(start, start + size)
    const largest = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1
    for (let j = 0; j < size; j++) v[start + j] = coins[start + j]! < 0.5 ? 0 : own[j]! / largest
  }
  return v
}
