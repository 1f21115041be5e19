import type { Norm } from '../../converters/perturb/norm.ts'
import { type Attack, predict, type Slope, type Task } from './attack.ts'
import { handInBeyond, handInWithin, seeker } from './nearest.ts'

export interface DeepFoolOptions {
  readonly iterations: number
  /** How far beyond the boundary it looks, as a share of the way. */
  readonly overshoot: number
  /** Only boundaries to the most likely of the clean image's classes are looked at. */
  readonly classes: number
}

/**
 * DeepFool (Moosavi-Dezfooli, Fawzi & Frossard, CVPR 2016), for L2 and Linf: goes to the nearest of the boundaries
 * between the label and other classes, each taken as linear, again and again until the class changes. The way is added
 * up without the overshoot, and looked at with it. Images are cut to [0,1].
 */
export function deepFool({ iterations, overshoot, classes }: DeepFoolOptions): Attack {
  return async (task, oracle) => {
    const clean = await oracle.logits(task.examples.map((example) => ({ example, x: example.origin })))
    let walks = task.examples.map((example, i) => ({
      ...seeker({ example, x: example.origin.slice() }),
      way: new Float32Array(example.origin.length),
      rivals: Array.from(clean[i]!.keys())
        .sort((a, b) => clean[i]![b]! - clean[i]![a]!)
        .slice(0, classes)
        .filter((k) => k !== example.label),
    }))
    for (let k = 0; k <= iterations && walks.length > 0; k++) {
      const logits = await oracle.logits(walks)
      const misled = walks.filter((walk, i) => predict(logits[i]!) !== walk.example.label)
      await handInWithin(misled, oracle, task)
      await handInBeyond(misled, oracle)
      const done = new Set(misled)
      walks = walks.filter((walk) => !done.has(walk))
      if (k === iterations || walks.length === 0) break

      const queries = walks.flatMap((walk) => walk.rivals.map((target) => ({ ...walk, target })))
      const slopes = await oracle.gradients(queries, 'difference')
      let from = 0
      for (const { example, x, way, rivals } of walks) {
        const own = slopes.slice(from, from + rivals.length)
        from += rivals.length
        addStep(way, nearest(own, task), task.norm)
        for (let i = 0; i < x.length; i++)
          x[i] = Math.min(Math.max(example.origin[i]! + (1 + overshoot) * way[i]!, 0), 1)
      }
    }
  }
}

/** The boundary that is nearest by its linear model: |f| / ‖∇f‖ in the dual norm is smallest. */
function nearest(slopes: readonly Slope[], { norm }: Task): Slope {
  const distance = ({ loss, gradient }: Slope) => Math.abs(loss) / (norm.dual(gradient) + 1e-12)
  return slopes.reduce((a, b) => (distance(b) < distance(a) ? b : a))
}

/** Added to the distance, so that a step from next to the boundary moves at all (as the authors' code). */
const NUDGE = 1e-4

function addStep(way: Float32Array, { loss, gradient }: Slope, norm: Norm): void {
  const length = norm.dual(gradient)
  const distance = (Math.abs(loss) + NUDGE) / (length + 1e-12)
  for (let i = 0; i < way.length; i++)
    way[i]! +=
      norm.name === 'linf' ? distance * Math.sign(gradient[i]!) : (distance * gradient[i]!) / (length + 1e-12)
}
