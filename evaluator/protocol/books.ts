import { rowOf } from '../../converters/perturb/pgd.ts'
import type { Loss, Oracle, Query, Slope, Task } from '../attacks/attack.ts'
import { type Exhibit, inspect, judge, type Rejection, type Verdict } from './judge.ts'
import type { AttackedModel } from './model.ts'

/** The best that was handed in for one example at one checkpoint, and what had been spent on it by then. */
export interface Entry {
  readonly exhibit: Exhibit
  readonly verdict: Verdict
  /** The class that it aimed at. */
  readonly target: number | null
  readonly forwards: number
  readonly backwards: number
  /** Since the attack began. */
  readonly seconds: number
}

/** Checkpoint of attacks that are scored once. */
export const END = 0

export interface Books extends Oracle {
  /** By checkpoint, then by row. */
  readonly entries: ReadonlyMap<number, ReadonlyMap<number, Entry>>
  readonly forwards: Float64Array
  readonly backwards: Float64Array
  /** Images that were misclassified but cannot count. */
  readonly rejected: ReadonlyMap<Rejection, number>
  /** Batches whose answer holds a NaN. */
  readonly nans: number
}

/**
 * The oracle that an attack talks to: it batches queries for the model, counts passes per example, and judges and keeps
 * what is handed in.
 *
 * @param answersWith the model that answers; in a transfer attack another than the judged one
 */
export function keepBooks(task: Task, judged: AttackedModel, answersWith: AttackedModel = judged): Books {
  const began = performance.now()
  const rows = task.examples.length
  const forwards = new Float64Array(rows)
  const backwards = new Float64Array(rows)
  const entries = new Map<number, Map<number, Entry>>()
  const rejected = new Map<Rejection, number>()
  const size = task.shape.reduce((product, dim) => product * dim, 1)
  let nans = 0
  /** Where queries are put together: fresh memory for every call would cost more than the attack's own step. */
  const buffer = new Float32Array(Math.max(judged.batch, answersWith.batch, 1) * size)

  /** Images one after the other; overwritten by the next call. */
  function stack(images: readonly Float32Array[]): Float32Array {
    for (const [i, image] of images.entries()) buffer.set(image, i * size)
    return buffer.subarray(0, images.length * size)
  }

  async function forward(model: AttackedModel, images: readonly Float32Array[]): Promise<Float32Array[]> {
    const answers: Float32Array[] = []
    for (let from = 0; from < images.length; from += model.batch) {
      const chunk = images.slice(from, from + model.batch)
      const logits = await model.forward(stack(chunk))
      for (let i = 0; i < chunk.length; i++) answers.push(rowOf(logits, i, model.classes))
      if (hasNaN(logits)) nans++
    }
    return answers
  }

  return {
    entries,
    forwards,
    backwards,
    rejected,
    get nans() {
      return nans
    },

    async logits(queries) {
      for (const { example } of queries) forwards[example.row]!++
      return forward(
        answersWith,
        queries.map(({ x }) => x),
      )
    },

    async gradients(queries: readonly Query[], loss: Loss): Promise<Slope[]> {
      const slopes: Slope[] = []
      for (let from = 0; from < queries.length; from += answersWith.batch) {
        const chunk = queries.slice(from, from + answersWith.batch)
        const answer = await answersWith.gradient(
          {
            x: stack(chunk.map(({ x }) => x)),
            labels: Int32Array.from(chunk, ({ example }) => example.label),
            targets: Int32Array.from(chunk, ({ example, target }) => target ?? example.label),
          },
          loss,
        )
        if (replaceNaN(answer.loss, Number.NEGATIVE_INFINITY) + replaceNaN(answer.gradient, 0) > 0) nans++
        for (const [i, { example }] of chunk.entries()) {
          forwards[example.row]!++
          backwards[example.row]!++
          const slope = {
            logits: rowOf(answer.logits, i, answersWith.classes),
            loss: answer.loss[i]!,
            gradient: rowOf(answer.gradient, i, size),
          }
          slopes.push(slope)
        }
      }
      return slopes
    },

    async submit(queries, checkpoint = END) {
      const exhibits = queries.map(({ x, example }) => inspect(x, example, task.norm))
      const answers = await forward(
        judged,
        exhibits.map(({ image }) => image),
      )
      const kept = entries.get(checkpoint) ?? new Map<number, Entry>()
      entries.set(checkpoint, kept)
      return exhibits.map((exhibit, i) => {
        const { row } = exhibit.example
        forwards[row]!++
        const verdict = judge(exhibit, answers[i]!)
        if (verdict.misclassified && exhibit.rejected)
          rejected.set(exhibit.rejected, (rejected.get(exhibit.rejected) ?? 0) + 1)
        const entry = {
          exhibit,
          verdict,
          target: queries[i]!.target ?? null,
          forwards: forwards[row]!,
          backwards: backwards[row]!,
          seconds: (performance.now() - began) / 1000,
        }
        if (better(entry, kept.get(row))) kept.set(row, entry)
        return verdict.broken
      })
    },
  }
}

/** Broken beats misclassified but rejected, which beats correct; among equals the nearer if misclassified, else the later. */
function better(entry: Entry, other: Entry | undefined): boolean {
  if (other === undefined) return true
  const gain = rank(entry.verdict) - rank(other.verdict)
  if (gain !== 0) return gain > 0
  return !entry.verdict.misclassified || entry.exhibit.distance < other.exhibit.distance
}

const rank = ({ broken, misclassified }: Verdict): number => Number(broken) + Number(misclassified)

/**
 * Replaces what is not a number, in place, and answers how much there was. An element without a slope moves nothing:
 * left as it is, it would make a walk of all elements worthless, and the model look robust.
 */
function replaceNaN(values: Float32Array, substitute: number): number {
  let count = 0
  for (let i = 0; i < values.length; i++)
    if (Number.isNaN(values[i])) {
      values[i] = substitute
      count++
    }
  return count
}

/** A loop, since `some` with a function takes longer than the attack's own step. */
function hasNaN(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) return true
  return false
}
