import type { Norm } from '../../converters/perturb/norm.ts'
import { pgdStep } from '../../converters/perturb/pgd.ts'
import { uniforms } from '../../converters/perturb/random.ts'
import { type Attack, type Example, type Loss, type Query, submitMisclassified } from './attack.ts'
import { chooseTargets, type TargetRule } from './targets.ts'

export interface PgdOptions {
  readonly loss: 'ce' | 'margin' | 'dlr'
  readonly targets?: TargetRule | undefined
  /** Steps; several numbers score one run at several iterations. */
  readonly iterations: readonly number[]
  /** Length of a step as a multiple of eps. */
  readonly step: number
  readonly schedule: 'constant' | 'linear' | 'cosine'
  /**
   * `random`: a point of the ball, cut to [0,1] (Madry et al.). `varied`: so at first, and with each restart brighter or
   * darker as a whole (see `tilt`).
   */
  readonly start: 'random' | 'varied' | 'clean'
  /** Decay of the accumulated gradient; 0 is plain PGD. */
  readonly momentum: number
  /** Whether any iterate counts, or the final one alone. */
  readonly score: 'any' | 'final'
}

interface Walk extends Query {
  readonly velocity: Float32Array | undefined
}

const TARGETED: Readonly<Record<PgdOptions['loss'], Loss>> = {
  ce: 'targeted-ce',
  margin: 'difference',
  dlr: 'targeted-dlr',
}

/**
 * Projected gradient ascent (Madry et al. 2018). One step of eps from the clean image is FGSM (Goodfellow et al. 2015),
 * several from there BIM (Kurakin et al. 2017), with momentum MI-FGSM (Dong et al. 2018): the gradient divided by its
 * mean absolute value is added to the decayed sum of the earlier ones.
 *
 * With the score `any`, an example is let go as soon as an iterate breaks it.
 */
export function pgd(options: PgdOptions): Attack {
  const { iterations, momentum, score } = options
  const total = Math.max(...iterations)
  const loss = options.targets ? TARGETED[options.loss] : options.loss

  return async (task, oracle) => {
    const { norm } = task
    const targets = options.targets ? await chooseTargets(task, oracle, options.targets) : undefined

    const begin = (example: Example): Walk => {
      const x = example.origin.slice()
      if (options.start === 'varied' && task.restart > 0) tilt(x, example, norm)
      else if (options.start !== 'clean') norm.sample(x, example.origin, example.eps, example.key)
      norm.project(x, example.origin, example.eps)
      const velocity = momentum > 0 ? new Float32Array(x.length) : undefined
      return { example, x, velocity, ...(targets && { target: targets.get(example)! }) }
    }
    let walks = task.examples.filter((example) => !targets || targets.has(example)).map(begin)

    for (let k = 0; k < total && walks.length > 0; k++) {
      const slopes = await oracle.gradients(walks, loss)
      const standing =
        score === 'any'
          ? new Set(
              await submitMisclassified(
                oracle,
                walks,
                slopes.map((slope) => slope.logits),
              ),
            )
          : new Set(walks)
      const factor = options.step * decay(options.schedule, k / total)
      for (const [i, walk] of walks.entries()) {
        if (!standing.has(walk)) continue
        const { x, example, velocity } = walk
        const gradient = slopes[i]!.gradient
        const direction = velocity ? accumulate(velocity, gradient, momentum) : gradient
        pgdStep(
          x,
          direction,
          { norm, origin: example.origin, eps: example.eps, size: x.length },
          factor * example.eps,
        )
      }
      walks = walks.filter((walk) => standing.has(walk))
      if (score === 'final' && iterations.includes(k + 1)) await oracle.submit(walks, k + 1)
    }
    if (score === 'any') await submitMisclassified(oracle, walks, await oracle.logits(walks))
  }
}

/**
 * Moves every element up or down by the same length, to the ball's surface, in place: a random share of them up.
 * Independent noise moves an image's brightness hardly at all, however often it is drawn, and some mistakes lie
 * in that direction alone.
 */
function tilt(x: Float32Array, { origin, eps, key }: Example, norm: Norm): void {
  const [share] = uniforms([...key, 1], 1)
  const signs = uniforms([...key, 0], x.length).map((value) => (value < share! ? 1 : -1))
  const length = eps / norm.distance(signs, new Float32Array(x.length))
  for (let i = 0; i < x.length; i++) x[i] = origin[i]! + length * signs[i]!
}

/** Share of the first step's length left when `progress` (0 to 1) of the steps are done. */
function decay(schedule: PgdOptions['schedule'], progress: number): number {
  if (schedule === 'linear') return 1 - progress
  if (schedule === 'cosine') return (1 + Math.cos(Math.PI * progress)) / 2
  return 1
}

/** velocity ← momentum * velocity + gradient / mean(|gradient|), in place. */
function accumulate(velocity: Float32Array, gradient: Float32Array, momentum: number): Float32Array {
  let sum = 0
  for (let i = 0; i < gradient.length; i++) sum += Math.abs(gradient[i]!)
  const scale = sum > 0 ? gradient.length / sum : 0
  for (let i = 0; i < gradient.length; i++) velocity[i] = momentum * velocity[i]! + scale * gradient[i]!
  return velocity
}
