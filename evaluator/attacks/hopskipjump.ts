import { rowOf } from '../../converters/perturb/pgd.ts'
import { type Key, normals, uniforms } from '../../converters/perturb/random.ts'
import { type Attack, type Example, type Oracle, predict, type Task } from './attack.ts'
import { handInBeyond, handInWithin, type Seeker, seeker } from './nearest.ts'

/** Evaluations for the first direction; they grow with the root of the step. */
const FIRST_EVALUATIONS = 100
/** Tries at a random misclassified image to begin from. */
const STARTS = 100
/** Purposes in an example's key. */
const START = 0
const DIRECTION = 1

/** What an example's walk may still ask, and how to ask: is this image misclassified? */
interface Budget {
  left: number
  misled(images: readonly Float32Array[]): Promise<boolean[]>
}

/**
 * HopSkipJump (Chen, Jordan & Wainwright, S&P 2020), for L2 and Linf: needs the predicted class alone. From a random
 * misclassified image it goes to the boundary by bisection, estimates the boundary's direction there from random
 * neighbours' classes, steps away from it, and bisects back towards the clean image.
 */
export function hopSkipJump({ queries }: { readonly queries: number }): Attack {
  return async (task, oracle) => {
    for (const example of task.examples) {
      const walk = seeker({ example, x: example.origin.slice() })
      await pursue(walk, task, oracle, budgetFor(example, oracle, queries))
      await handInBeyond([walk], oracle)
    }
  }
}

function budgetFor(example: Example, oracle: Oracle, queries: number): Budget {
  return {
    left: queries,
    async misled(images) {
      this.left -= images.length
      const logits = await oracle.logits(images.map((x) => ({ example, x })))
      return logits.map((answer) => predict(answer) !== example.label)
    },
  }
}

async function pursue(walk: Seeker, task: Task, oracle: Oracle, budget: Budget): Promise<void> {
  const { example, x } = walk
  const { norm } = task
  const size = x.length
  /** Precision of the bisection: the paper's theta, with its gamma = 1. */
  const theta = norm.name === 'linf' ? 1 / size ** 2 : 1 / size ** 1.5

  const start = await misclassifiedStart(example, budget)
  if (!start) return
  x.set(start)
  let before = norm.distance(x, example.origin)
  await bisect(x, example, norm.name === 'linf' ? before : 1, theta, task, budget)

  for (let step = 1; budget.left > 0; step++) {
    const broken = await handInWithin([walk], oracle, task)
    if (broken.size > 0) return
    const distance = norm.distance(x, example.origin)
    const reach = step === 1 ? 0.1 : (norm.name === 'linf' ? size : Math.sqrt(size)) * theta * before
    const evaluations = Math.min(Math.floor(FIRST_EVALUATIONS * Math.sqrt(step)), budget.left)
    const direction = await estimateDirection(walk, evaluations, reach, step, task, budget)
    const jumped = await jump(x, direction, distance / Math.sqrt(step), budget)
    if (!jumped) return
    x.set(jumped)
    before = norm.distance(x, example.origin)
    await bisect(x, example, norm.name === 'linf' ? before : 1, theta, task, budget)
  }
  await handInWithin([walk], oracle, task)
}

/**
 * An image of another class, mixed with the clean one as far as its class allows. Uniform noise, as in the paper; where a
 * model takes all noise for this class, the clean image's negative, black, white, or one that is half of each.
 */
async function misclassifiedStart({ origin, key }: Example, budget: Budget): Promise<Float32Array | null> {
  for (const start of starts(origin, key)) {
    if (budget.left <= 0) break
    if (!(await budget.misled([start]))[0]) continue
    let [low, high] = [0, 1]
    while (high - low > 1e-3) {
      const middle = (low + high) / 2
      if ((await budget.misled([blend(origin, start, middle)]))[0]) high = middle
      else low = middle
    }
    return blend(origin, start, high)
  }
  return null
}

function* starts(origin: Float32Array, key: Key): Generator<Float32Array> {
  for (let n = 0; n < STARTS; n++) yield uniforms([...key, START, n], origin.length)
  yield origin.map((value) => 1 - value)
  for (const brightness of [0, 1]) yield origin.map(() => brightness)
  yield origin.map((_, i) => Number(2 * i < origin.length))
  yield origin.map((_, i) => Number(2 * i >= origin.length))
}

/**
 * Moves `x` back towards the clean image until just before its class returns, in place.
 * In L2 along the line between the two; in Linf by cutting to a smaller and smaller box around the clean image.
 */
async function bisect(
  x: Float32Array,
  { origin }: Example,
  far: number,
  theta: number,
  { norm }: Task,
  budget: Budget,
): Promise<void> {
  const from = x.slice()
  const at = (place: number) => (norm.name === 'linf' ? cut(from, origin, place) : blend(origin, from, place))
  const precision = norm.name === 'linf' ? Math.min(far * theta, theta) : theta
  let [low, high] = [0, far]
  while (high - low > precision && budget.left > 0) {
    const middle = (low + high) / 2
    // Halves that double precision can't tell apart any more.
    if (middle === low || middle === high) break
    if ((await budget.misled([at(middle)]))[0]) high = middle
    else low = middle
  }
  x.set(at(high))
}

/** The boundary's normal at a seeker's place, from the classes of random neighbours at `reach`; of unit length, or signs for Linf. */
async function estimateDirection(
  { x, example }: Seeker,
  evaluations: number,
  reach: number,
  step: number,
  { norm }: Task,
  budget: Budget,
): Promise<Float32Array> {
  const size = x.length
  const key = [...example.key, DIRECTION, step]
  const noise =
    norm.name === 'linf'
      ? uniforms(key, size * evaluations).map((u) => 2 * u - 1)
      : normals(key, size * evaluations)
  const neighbours = Array.from({ length: evaluations }, (_, n) => {
    const row = rowOf(noise, n, size)
    const scale = reach / Math.sqrt(row.reduce((sum, value) => sum + value ** 2, 0))
    return x.map((value, i) => Math.min(Math.max(value + scale * row[i]!, 0), 1))
  })
  const votes = (await budget.misled(neighbours)).map((misled) => (misled ? 1 : -1))
  const mean = votes.reduce((sum: number, vote) => sum + vote, 0) / evaluations
  const unanimous = Math.abs(mean) === 1
  const direction = new Float32Array(size)
  for (const [n, neighbour] of neighbours.entries()) {
    const weight = (unanimous ? votes[n]! : votes[n]! - mean) / (evaluations * reach)
    for (let i = 0; i < size; i++) direction[i]! += weight * (neighbour[i]! - x[i]!)
  }
  if (norm.name === 'linf') return direction.map(Math.sign)
  const length = Math.sqrt(direction.reduce((sum, value) => sum + value ** 2, 0)) + 1e-12
  return direction.map((value) => value / length)
}

/** Steps along the direction, halving the step until the image is misclassified; null if the budget ends first. */
async function jump(
  x: Float32Array,
  direction: Float32Array,
  first: number,
  budget: Budget,
): Promise<Float32Array | null> {
  for (let length = first; budget.left > 0 && length > 1e-9; length /= 2) {
    const there = x.map((value, i) => Math.min(Math.max(value + length * direction[i]!, 0), 1))
    if ((await budget.misled([there]))[0]) return there
  }
  return null
}

const blend = (a: Float32Array, b: Float32Array, share: number): Float32Array =>
  a.map((value, i) => (1 - share) * value + share * b[i]!)

const cut = (x: Float32Array, origin: Float32Array, radius: number): Float32Array =>
  x.map((value, i) => Math.min(Math.max(value, origin[i]! - radius), origin[i]! + radius))
