import type { Norm } from '../../converters/perturb/norm.ts'
import type { Oracle, Query, Task } from './attack.ts'

/** A walk that looks for the smallest perturbation, with the nearest misleading image that it has met. */
export interface Seeker extends Query {
  best: Float32Array | null
  distance: number
}

export const seeker = <T extends Query>(query: T): T & Seeker => ({
  ...query,
  best: null,
  distance: Number.POSITIVE_INFINITY,
})

/** Notes where a seeker stands as its best if that is nearer than before; answers whether it is. */
export function noteIfNearer(seeker: Seeker, norm: Norm): boolean {
  const distance = norm.distance(seeker.x, seeker.example.origin)
  if (distance >= seeker.distance) return false
  seeker.distance = distance
  seeker.best = seeker.x.slice()
  return true
}

/**
 * Of seekers that stand on misleading images: notes those that came nearer and hands in those within eps.
 * Answers the ones to let go of: broken, where the task asks no more.
 */
export async function handInWithin<T extends Seeker>(
  misled: readonly T[],
  oracle: Oracle,
  { norm, stopWhenBroken }: Task,
): Promise<Set<T>> {
  const within = misled.filter((walk) => noteIfNearer(walk, norm) && walk.distance <= walk.example.eps)
  if (within.length === 0) return new Set()
  const verdicts = await oracle.submit(within)
  return new Set(stopWhenBroken ? within.filter((_, i) => verdicts[i]) : [])
}

/** At an attack's end: the nearest images of those that found one, but only beyond eps, so that distances are known. */
export async function handInBeyond(walks: readonly Seeker[], oracle: Oracle): Promise<void> {
  const beyond = walks.filter(({ best, distance, example }) => best && distance > example.eps)
  if (beyond.length > 0) await oracle.submit(beyond.map(({ example, best }) => ({ example, x: best! })))
}
