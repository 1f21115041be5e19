import type { Attack, Example, Slope } from './attack.ts'
import { handInBeyond, handInWithin, type Seeker, seeker } from './nearest.ts'

export interface CarliniWagnerOptions {
  readonly iterations: number
  /** Rounds of the search for the constant. */
  readonly searches: number
  readonly learningRate: number
  readonly initialConstant: number
  /** By how much the wrong class must win. */
  readonly confidence: number
}

/** Keeps artanh finite at the edges of [0,1]. */
const INSIDE = 0.999999
/** Progress is checked this many times a round; a walk without any ends. */
const PROGRESS_CHECKS = 10

/** Adam's state (Kingma & Ba 2015) for one image, and the search for its constant. */
interface Walk extends Seeker {
  /** The clean image in tanh space, and what is added to it. */
  readonly centre: Float64Array
  readonly offset: Float64Array
  readonly mean: Float64Array
  readonly square: Float64Array
  constant: number
  lower: number
  upper: number
  succeeded: boolean
  active: boolean
  lastLoss: number
}

/**
 * Carlini & Wagner's L2 attack ("Towards evaluating the robustness of neural networks", 2017, section V.B): Adam on
 * ‖δ‖² + c max(-margin, -κ) in tanh space, where images cannot leave [0,1], with a search for the smallest c that succeeds.
 */
export function carliniWagner(options: CarliniWagnerOptions): Attack {
  return async (task, oracle) => {
    let walks = task.examples.map((example) => begin(example, options))
    for (let search = 0; search < options.searches && walks.length > 0; search++) {
      for (const walk of walks) restart(walk)
      const checkEvery = Math.ceil(options.iterations / PROGRESS_CHECKS)
      for (let k = 1; k <= options.iterations; k++) {
        const moving = walks.filter(({ active }) => active)
        if (moving.length === 0) break
        for (const walk of moving) show(walk)
        const slopes = await oracle.gradients(moving, 'margin')
        const misled = moving.filter((_, i) => slopes[i]!.loss > options.confidence)
        for (const walk of misled) walk.succeeded = true
        const broken = await handInWithin(misled, oracle, task)
        for (const [i, walk] of moving.entries()) {
          const loss = descend(walk, slopes[i]!, k, options)
          if (k % checkEvery !== 0) continue
          if (!(loss <= 0.9999 * walk.lastLoss)) walk.active = false
          walk.lastLoss = loss
        }
        walks = walks.filter((walk) => !broken.has(walk))
      }
      for (const walk of walks) chooseConstant(walk)
    }
    await handInBeyond(walks, oracle)
  }
}

function begin(example: Example, { initialConstant }: CarliniWagnerOptions): Walk {
  const size = example.origin.length
  return {
    ...seeker({ example, x: example.origin.slice() }),
    centre: Float64Array.from(example.origin, (value) => Math.atanh((2 * value - 1) * INSIDE)),
    offset: new Float64Array(size),
    mean: new Float64Array(size),
    square: new Float64Array(size),
    constant: initialConstant,
    lower: 0,
    upper: Number.POSITIVE_INFINITY,
    succeeded: false,
    active: true,
    lastLoss: Number.POSITIVE_INFINITY,
  }
}

function restart(walk: Walk): void {
  for (const state of [walk.offset, walk.mean, walk.square]) state.fill(0)
  walk.succeeded = false
  walk.active = true
  walk.lastLoss = Number.POSITIVE_INFINITY
}

/** Writes the image at the walk's place in tanh space. */
function show({ x, centre, offset }: Walk): void {
  for (let i = 0; i < x.length; i++) x[i] = (Math.tanh(centre[i]! + offset[i]!) + 1) / 2
}

/** One step of Adam down the objective, whose value it answers. */
function descend(
  walk: Walk,
  { loss: margin, gradient }: Slope,
  k: number,
  options: CarliniWagnerOptions,
): number {
  const { x, centre, offset, mean, square, constant } = walk
  const shortfall = Math.max(options.confidence - margin, 0)
  const pull = shortfall > 0 ? constant : 0
  let objective = constant * shortfall
  for (let i = 0; i < x.length; i++) {
    const moved = x[i]! - (Math.tanh(centre[i]!) + 1) / 2
    objective += moved ** 2
    const tanh = Math.tanh(centre[i]! + offset[i]!)
    const slope = (2 * moved - pull * gradient[i]!) * ((1 - tanh ** 2) / 2)
    mean[i] = 0.9 * mean[i]! + 0.1 * slope
    square[i] = 0.999 * square[i]! + 0.001 * slope ** 2
    const step = mean[i]! / (1 - 0.9 ** k) / (Math.sqrt(square[i]! / (1 - 0.999 ** k)) + 1e-8)
    offset[i]! -= options.learningRate * step
  }
  return objective
}

/** Ten times the constant until one succeeds, then halves between the largest that failed and the smallest that did not. */
function chooseConstant(walk: Walk): void {
  if (walk.succeeded) walk.upper = walk.constant
  else walk.lower = walk.constant
  walk.constant = Number.isFinite(walk.upper) ? (walk.lower + walk.upper) / 2 : 10 * walk.constant
}
