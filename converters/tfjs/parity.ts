import { ZooError } from '../../manifests/error.ts'
import type { Progress } from '../../manifests/progress.ts'
import type { Session } from '../onnx/runtime/session.ts'
import type { Tensor } from '../onnx/tensor.ts'
import type { Conversion } from './convert.ts'
import { permuted } from './lowering/permute.ts'
import { toChannelsFirst, toChannelsLast } from './lowering/value.ts'
import type { Reference } from './reference.ts'
import type { Samples } from './samples.ts'

/** How far one output of the converted model lies from the original's. */
export interface OutputParity {
  readonly name: string
  /** Largest and mean absolute difference over all samples, and the largest magnitude that the original gives. */
  readonly largest: number
  readonly mean: number
  readonly magnitude: number
  /** The share of samples whose largest score is the same class; null for an output that is no list of scores. */
  readonly sameTop1: number | null
}

export interface ParityReport {
  readonly passed: boolean
  readonly samples: number
  /** Differences may be this large, relative to the output's magnitude. */
  readonly tolerance: number
  readonly reference: string
  readonly outputs: readonly OutputParity[]
}

/** A probability next to zero has few right digits: differences are never held against less than this. */
const SMALLEST_MAGNITUDE = 0.01

export interface CompareOptions {
  readonly samples: Samples
  /** Largest difference that passes, relative to the largest magnitude of the output. */
  readonly tolerance: number
  readonly progress: Progress
}

/**
 * Runs the original and the converted model on the same inputs and measures how far their outputs lie apart.
 * tfjs and onnxruntime round differently (their convolutions sum in different orders), so outputs agree to some
 * digits and no more.
 */
export async function compare(
  reference: Reference,
  session: Session,
  conversion: Conversion,
  { samples, tolerance, progress }: CompareOptions,
): Promise<ParityReport> {
  const { outputs, inputs, layout } = conversion
  const tallies = outputs.map(({ name }) => new Tally(name))
  let done = 0
  for await (const feeds of samples.batches()) {
    const expected = await reference.run(feeds)
    const actual = await session.run(
      Object.fromEntries(
        inputs.map(({ name }) => [name, layout === 'nchw' ? toNchw(feeds[name]!) : feeds[name]!]),
      ),
    )
    for (const tally of tallies) {
      const result = actual[tally.name]!
      tally.add(expected[tally.name]!, layout === 'nchw' ? toNhwc(result) : result)
    }
    done += feeds[inputs[0]!.name]!.dims[0]!
    progress({
      stage: `compare with tfjs (${reference.backend})`,
      done,
      total: samples.count,
      unit: 'samples',
    })
  }
  const measured = tallies.map((tally) => tally.result())
  const passed = measured.every(
    ({ largest, magnitude }) => largest <= tolerance * Math.max(magnitude, SMALLEST_MAGNITUDE),
  )
  return { passed, samples: done, tolerance, reference: `tfjs ${reference.backend}`, outputs: measured }
}

const isImage = ({ dims }: Tensor): boolean => dims.length === 4
const toNchw = (tensor: Tensor): Tensor => (isImage(tensor) ? permuted(tensor, toChannelsFirst(4)) : tensor)
const toNhwc = (tensor: Tensor): Tensor => (isImage(tensor) ? permuted(tensor, toChannelsLast(4)) : tensor)

/** Differences of one output, added up batch by batch. */
class Tally {
  readonly name: string
  #largest = 0
  #sum = 0
  #elements = 0
  #magnitude = 0
  #rows = 0
  #sameTop1 = 0
  #scores = true

  constructor(name: string) {
    this.name = name
  }

  add(expected: Tensor, actual: Tensor): void {
    if (`${expected.dims}` !== `${actual.dims}`)
      throw new ZooError(
        'check-failed',
        `output ${this.name} has shape [${actual.dims}] after conversion and [${expected.dims}] in tfjs`,
      )
    const a = expected.elements as Float32Array
    const b = actual.elements as Float32Array
    for (let i = 0; i < a.length; i++) {
      const difference = Math.abs(a[i]! - b[i]!)
      // A difference that is no number passes no check, and stays the largest.
      if (!(difference <= this.#largest)) this.#largest = difference
      this.#sum += difference
      if (Math.abs(a[i]!) > this.#magnitude) this.#magnitude = Math.abs(a[i]!)
    }
    this.#elements += a.length
    this.#scores &&= expected.dims.length === 2 && expected.dims[1]! > 1
    if (this.#scores) this.#countTop1(a, b, expected.dims[0]!, expected.dims[1]!)
  }

  #countTop1(a: Float32Array, b: Float32Array, rows: number, classes: number): void {
    for (let row = 0; row < rows; row++) {
      const [from, to] = [row * classes, (row + 1) * classes]
      if (argMax(a.subarray(from, to)) === argMax(b.subarray(from, to))) this.#sameTop1++
    }
    this.#rows += rows
  }

  result(): OutputParity {
    return {
      name: this.name,
      largest: this.#largest,
      mean: this.#sum / this.#elements,
      magnitude: this.#magnitude,
      sameTop1: this.#scores ? this.#sameTop1 / this.#rows : null,
    }
  }
}

const argMax = (values: Float32Array): number =>
  values.reduce((best, value, i) => (value > values[best]! ? i : best), 0)
