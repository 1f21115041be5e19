import type { Norm } from '../../converters/perturb/norm.ts'
import type { Key } from '../../converters/perturb/random.ts'

/** One clean image, as an attack sees it. */
export interface Example {
  /** Its place in the task, for the oracle's books. */
  readonly row: number
  /** C*H*W elements in [0,1]. */
  readonly origin: Float32Array
  /** The true class, numbered as the model numbers its outputs. */
  readonly label: number
  /** The class that the data set asks for, where it gives one. */
  readonly target: number | null
  /** Radius of its ball, as a fraction of [0,1]. */
  readonly eps: number
  /** Where its randomness starts: seed, attack, example, restart. Attacks append what they draw for. */
  readonly key: Key
}

/** What an attack works on. Examples don't influence one another: whoever shares the batch, the fate is the same. */
export interface Task {
  readonly examples: readonly Example[]
  readonly norm: Norm
  /** Channels, height, width. */
  readonly shape: readonly [number, number, number]
  readonly classes: number
  /** Which target this is, from 0, of an attack that walks through several; 0 otherwise. */
  readonly turn: number
  /** Which restart this is, from 0; for each target anew. The examples' keys hold both. */
  readonly restart: number
  /** Whether to let go of an example once it is broken, or to go on and look for a smaller perturbation. */
  readonly stopWhenBroken: boolean
}

/**
 * What an attack may increase, each written so that larger is better for the attack.
 * With z the logits, y the label, t the target, π the order of the logits from the largest:
 * - `ce`: cross-entropy of y
 * - `targeted-ce`: minus the cross-entropy of t
 * - `margin`: max over i≠y of z_i, minus z_y
 * - `difference`: z_t - z_y
 * - `dlr`: difference of logits ratio, -(z_y - max over i≠y of z_i) / (z_π1 - z_π3 + 1e-12); at least 3 classes
 * - `targeted-dlr`: -(z_y - z_t) / (z_π1 - (z_π3 + z_π4) / 2 + 1e-12); at least 4 classes
 * (Croce & Hein 2020, equations 6 and 7.)
 */
export type Loss = 'ce' | 'targeted-ce' | 'margin' | 'difference' | 'dlr' | 'targeted-dlr'

/** An image that somebody wants to know something about. */
export interface Query {
  readonly example: Example
  /** C*H*W elements. Read when asked, not kept. */
  readonly x: Float32Array
  /** The class that targeted losses aim at. */
  readonly target?: number
}

/** Answers are views into buffers that live as long as they do: copy what is kept for long. */
export interface Slope {
  readonly logits: Float32Array
  readonly loss: number
  /** d(loss)/d(image). */
  readonly gradient: Float32Array
}

/**
 * The model as an attack sees it. It batches, pads and counts; only it talks to the model.
 * Answers come in the order of the queries.
 */
export interface Oracle {
  logits(queries: readonly Query[]): Promise<Float32Array[]>
  gradients(queries: readonly Query[], loss: Loss): Promise<Slope[]>
  /**
   * Hands images in. The runner, not the attack, decides: it checks ball and range and predicts again with the
   * forward-only model. Answers which of them break their example. `checkpoint` names the iteration where an attack
   * is scored at several.
   */
  submit(queries: readonly Query[], checkpoint?: number): Promise<boolean[]>
}

export type Attack = (task: Task, oracle: Oracle) => Promise<void>

/** The class with the largest logit; the first of equals; -1 where a logit is NaN, which is no answer. */
export function predict(logits: Float32Array): number {
  let best = 0
  for (let i = 0; i < logits.length; i++) {
    if (Number.isNaN(logits[i])) return -1
    if (logits[i]! > logits[best]!) best = i
  }
  return best
}

/** max over i≠label of z_i, minus z_label: positive where the image is misclassified. */
export function margin(logits: Float32Array, label: number): number {
  let best = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logits.length; i++) if (i !== label) best = Math.max(best, logits[i]!)
  return best - logits[label]!
}

/** Hands in those of `items` whose logits say "misclassified", and answers those that still stand. */
export async function submitMisclassified<T extends Query>(
  oracle: Oracle,
  items: readonly T[],
  logits: readonly Float32Array[],
): Promise<T[]> {
  const candidates = items.filter((item, i) => predict(logits[i]!) !== item.example.label)
  if (candidates.length === 0) return items as T[]
  const verdicts = await oracle.submit(candidates)
  const broken = new Set(candidates.filter((_, i) => verdicts[i]))
  return items.filter((item) => !broken.has(item))
}
