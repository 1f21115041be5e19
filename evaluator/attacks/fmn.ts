import { l2 } from '../../converters/perturb/l2.ts'
import { type Attack, predict } from './attack.ts'
import { handInBeyond, handInWithin, seeker } from './nearest.ts'

/** First and last length of a step, in L2; first and last share by which the radius changes. */
const STEP = [1, 0.01] as const
const GAMMA = [0.05, 0.001] as const
/** A little more than the linear estimate, which on a nearly linear model leads onto the boundary and never across. */
const BEYOND = 1.001

/**
 * FMN (Pintor, Roli, Brendel & Biggio, "Fast minimum-norm adversarial attacks through adaptive norm constraints",
 * NeurIPS 2021), for Linf, L2 and L1: gradient steps on the margin inside a ball whose radius shrinks while the image
 * misleads and grows while it does not. Until one misleads, the radius is the linear estimate of where the boundary is.
 */
export function fmn({ iterations }: { readonly iterations: number }): Attack {
  return async (task, oracle) => {
    const { norm } = task
    let walks = task.examples.map((example) => ({
      ...seeker({ example, x: example.origin.slice() }),
      radius: Number.POSITIVE_INFINITY,
    }))
    for (let k = 0; k < iterations && walks.length > 0; k++) {
      const slopes = await oracle.gradients(walks, 'margin')
      const misled = new Set(walks.filter((_, i) => slopes[i]!.loss > 0))
      const broken = await handInWithin([...misled], oracle, task)
      const gamma = annealed(GAMMA, k / iterations)
      const step = annealed(STEP, k / iterations)
      for (const [i, walk] of walks.entries()) {
        const { loss, gradient } = slopes[i]!
        const { x, example } = walk
        if (misled.has(walk)) walk.radius = Math.min(walk.radius * (1 - gamma), walk.distance)
        else if (walk.best) walk.radius *= 1 + gamma
        else
          walk.radius =
            norm.distance(x, example.origin) + (BEYOND * Math.abs(loss)) / (norm.dual(gradient) + 1e-12)
        const scale = step / (l2.dual(gradient) + 1e-12)
        for (let j = 0; j < x.length; j++) x[j]! += scale * gradient[j]!
        norm.project(x, example.origin, walk.radius)
      }
      walks = walks.filter((walk) => !broken.has(walk))
    }
    const last = await oracle.logits(walks)
    await handInWithin(
      walks.filter((walk, i) => predict(last[i]!) !== walk.example.label),
      oracle,
      task,
    )
    await handInBeyond(walks, oracle)
  }
}

/** Cosine annealing from the first value to the last. */
const annealed = ([first, last]: readonly [number, number], progress: number): number =>
  last + ((first - last) * (1 + Math.cos(Math.PI * progress))) / 2
