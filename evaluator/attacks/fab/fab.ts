import type { NormName } from '../../../converters/perturb/norm.ts'
import { normals, uniforms } from '../../../converters/perturb/random.ts'
import { type Attack, type Example, type Oracle, predict, type Slope, type Task } from '../attack.ts'
import { handInBeyond, handInWithin, type Seeker, seeker } from '../nearest.ts'
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
      .map((example): Seeker => {
        const x = example.origin.slice()
        if (task.restart > 0) scatter(x, example, task.norm.name)
        return seeker(targets ? { example, x, target: targets.get(example)! } : { example, x })
      })
    for (let k = 0; k < options.iterations && walks.length > 0; k++) {
      const faced = await planes(walks, oracle, task)
      for (const [i, walk] of walks.entries()) step(walk, faced[i]!, task.norm.name)
      const logits = await oracle.logits(walks)
      const misled = walks.filter((walk, i) => predict(logits[i]!) !== walk.example.label)
      const broken = await handInWithin(misled, oracle, task)
      for (const { x, example } of misled)
        for (let j = 0; j < x.length; j++) x[j] = example.origin[j]! + BETA * (x[j]! - example.origin[j]!)
      walks = walks.filter((walk) => !broken.has(walk))
    }
    await handInBeyond(walks, oracle)
  }
}

async function targetedPlanes(walks: readonly Seeker[], oracle: Oracle): Promise<Plane[]> {
  const slopes = await oracle.gradients(walks, 'difference')
  return slopes.map(({ loss, gradient }) => ({ w: gradient, gap: -loss }))
}

/** For each walk the boundary that is nearest by its linear model. */
async function nearestPlanes(
  walks: readonly Seeker[],
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
    const near = (slope: Slope) => Math.abs(slope.loss) / (1e-12 + norm.dual(slope.gradient))
    const { loss, gradient } = own.reduce((a, b) => (near(b) < near(a) ? b : a))
    return { w: gradient, gap: -loss }
  })
}

/** One step of a walk, in place. */
function step({ x, example: { origin } }: Seeker, { w, gap }: Plane, norm: NormName): void {
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
