import type { NormName } from '../../../converters/perturb/norm.ts'
import { normals, uniforms } from '../../../converters/perturb/random.ts'
import {
  type Attack,
  type Example,
  type Oracle,
  predict,
  type Query,
  type Slope,
  type Task,
} from '../attack.ts'
import { chooseTargets } from '../targets.ts'
import { PROJECTIONS } from './projection.ts'

export interface FabOptions {
  readonly iterations: number
  /** How many targets, one a turn; untargeted when absent. */
  readonly targets?: number | undefined
}

/** Largest weight of the way from the clean image, overshoot, and share of the way kept after success. */
const ALPHA_MAX = 0.1
const ETA = 1.05
const BETA = 0.9

interface Walk extends Query {
  readonly x: Float32Array
  /** The nearest misleading point so far. */
  best: Float32Array | null
  distance: number
}

/** A linear model of the boundary to one class: f(x + way) ≈ gap closed where w·way = gap. */
interface Plane {
  readonly w: Float32Array
  readonly gap: number
}

/**
 * FAB (Croce & Hein, ICML 2020): walks along the decision boundary towards the clean image, for the smallest
 * perturbation in Linf, L2 or L1. Each step goes to the boundary's linear model, from where it is and from the clean
 * image, and mixes the two; from a misleading point it then steps a tenth of the way back.
 * Targeted, the boundary is the one to the next most likely class; untargeted, the nearest of all, for which each
 * class costs a gradient.
 *
 * A restart begins at a random point within half of eps, or of the smallest perturbation found.
 */
export function fab(options: FabOptions): Attack {
  return async (task, oracle) => {
    const targets = options.targets === undefined ? undefined : await chooseTargets(task, oracle, 'likely')
    const planes = targets ? targetedPlanes : nearestPlanes
    let walks = task.examples
      .filter((example) => !targets || targets.has(example))
      .map((example): Walk => {
        const x = example.origin.slice()
        if (task.restart > 0) scatter(x, example, task.norm.name)
        const walk = { example, x, best: null, distance: Number.POSITIVE_INFINITY }
        return targets ? { ...walk, target: targets.get(example)! } : walk
      })
    for (let k = 0; k < options.iterations && walks.length > 0; k++) {
      const faced = await planes(walks, oracle, task)
      for (const [i, walk] of walks.entries()) step(walk, faced[i]!, task.norm.name)
      const logits = await oracle.logits(walks)
      const misled = walks.filter((walk, i) => predict(logits[i]!) !== walk.example.label)
      const within = misled.filter((walk) => keepIfNearer(walk, task) && walk.distance <= walk.example.eps)
      const verdicts = within.length > 0 ? await oracle.submit(within) : []
      const broken = new Set(within.filter((_, i) => verdicts[i]))
      for (const { x, example } of misled)
        for (let j = 0; j < x.length; j++) x[j] = example.origin[j]! + BETA * (x[j]! - example.origin[j]!)
      if (task.stopWhenBroken) walks = walks.filter((walk) => !broken.has(walk))
    }
    const beyond = walks.filter(({ best, distance, example }) => best && distance > example.eps)
    if (beyond.length > 0) await oracle.submit(beyond.map(({ example, best }) => ({ example, x: best! })))
  }
}

/** Takes the point where a walk stands as its best if it is nearer than the last. */
function keepIfNearer(walk: Walk, task: Task): boolean {
  const distance = task.norm.distance(walk.x, walk.example.origin)
  if (distance >= walk.distance) return false
  walk.distance = distance
  walk.best = walk.x.slice()
  return true
}

async function targetedPlanes(walks: readonly Walk[], oracle: Oracle): Promise<Plane[]> {
  const slopes = await oracle.gradients(walks, 'difference')
  return slopes.map(({ loss, gradient }) => ({ w: gradient, gap: -loss }))
}

/** For each walk the boundary that is nearest by its linear model. */
async function nearestPlanes(
  walks: readonly Walk[],
  oracle: Oracle,
  { classes, norm }: Task,
): Promise<Plane[]> {
  const rivals = walks.flatMap((walk) =>
    Array.from({ length: classes }, (_, target) => ({ ...walk, target })).filter(
      ({ target, example }) => target !== example.label,
    ),
  )
  const slopes = await oracle.gradients(rivals, 'difference')
  return walks.map((_, i) => {
    const own = slopes.slice(i * (classes - 1), (i + 1) * (classes - 1))
    const near = (slope: Slope) => Math.abs(slope.loss) / (1e-12 + dualNorm(slope.gradient, norm.name))
    const { loss, gradient } = own.reduce((a, b) => (near(b) < near(a) ? b : a))
    return { w: gradient, gap: -loss }
  })
}

/** One step of a walk, in place. */
function step({ x, example: { origin } }: Walk, { w, gap }: Plane, norm: NormName): void {
  const fromHere = new Float32Array(x.length)
  const fromOrigin = new Float32Array(x.length)
  let between = 0
  for (let i = 0; i < x.length; i++) between += w[i]! * (x[i]! - origin[i]!)
  const near = Math.max(PROJECTIONS[norm](x, w, gap, fromHere), 1e-8)
  const far = Math.max(PROJECTIONS[norm](origin, w, gap + between, fromOrigin), 1e-8)
  const alpha = Math.min(near / (near + far), ALPHA_MAX)
  for (let i = 0; i < x.length; i++) {
    const moved = (1 - alpha) * (x[i]! + ETA * fromHere[i]!) + alpha * (origin[i]! + ETA * fromOrigin[i]!)
    x[i] = Math.min(Math.max(moved, 0), 1)
  }
}

/** The norm in which a gradient's length is what divides a gap to give a distance: the dual of the attack's. */
function dualNorm(gradient: Float32Array, norm: NormName): number {
  if (norm === 'l2') return Math.sqrt(gradient.reduce((sum, slope) => sum + slope ** 2, 0))
  if (norm === 'linf') return gradient.reduce((sum, slope) => sum + Math.abs(slope), 0)
  return gradient.reduce((most, slope) => Math.max(most, Math.abs(slope)), 0)
}

/** A random point at half of eps from the clean image, cut to [0,1]. */
function scatter(x: Float32Array, { origin, eps, key }: Example, norm: NormName): void {
  const noise = norm === 'linf' ? uniforms(key, x.length).map((u) => 2 * u - 1) : normals(key, x.length)
  const length = {
    linf: () => noise.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
    l2: () => Math.sqrt(noise.reduce((sum, value) => sum + value ** 2, 0)),
    l1: () => noise.reduce((sum, value) => sum + Math.abs(value), 0),
  }[norm]()
  for (let i = 0; i < x.length; i++)
    x[i] = Math.min(Math.max(origin[i]! + (eps / 2) * (noise[i]! / length), 0), 1)
}
