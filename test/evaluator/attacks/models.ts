import type { NormName } from '../../../converters/perturb/norm.ts'
import { NORMS } from '../../../converters/perturb/norms.ts'
import { normals, uniforms } from '../../../converters/perturb/random.ts'
import { type Example, type Loss, margin, type Task } from '../../../evaluator/attacks/attack.ts'
import type { AttackedModel } from '../../../evaluator/protocol/model.ts'

/** A loss of logits with its slope, in double precision: what the gradient graph computes, by hand. */
export function lossOf(
  loss: Loss,
  z: readonly number[],
  y: number,
  t: number,
): { value: number; slope: number[] } {
  const slope = z.map(() => 0)
  const order = z.map((_, i) => i).sort((a, b) => z[b]! - z[a]!)
  const rival = order.find((i) => i !== y)!
  const add = (index: number, by: number) => {
    slope[index]! += by
  }
  const crossEntropy = (label: number, sign: number) => {
    const top = z[order[0]!]!
    const sum = z.reduce((total, value) => total + Math.exp(value - top), 0)
    for (const [i, value] of z.entries()) add(i, sign * (Math.exp(value - top) / sum - (i === label ? 1 : 0)))
    return sign * (Math.log(sum) + top - z[label]!)
  }
  const ratio = (
    numerator: number,
    from: number,
    to: number,
    weights: readonly (readonly [number, number])[],
  ) => {
    const denominator = weights.reduce((sum, [rank, weight]) => sum + weight * z[order[rank]!]!, 0) + 1e-12
    add(to, 1 / denominator)
    add(from, -1 / denominator)
    for (const [rank, weight] of weights) add(order[rank]!, (-numerator / denominator ** 2) * weight)
    return numerator / denominator
  }
  switch (loss) {
    case 'ce':
      return { value: crossEntropy(y, 1), slope }
    case 'targeted-ce':
      return { value: crossEntropy(t, -1), slope }
    case 'margin':
      add(rival, 1)
      add(y, -1)
      return { value: z[rival]! - z[y]!, slope }
    case 'difference':
      add(t, 1)
      add(y, -1)
      return { value: z[t]! - z[y]!, slope }
    case 'dlr':
      return {
        value: ratio(z[rival]! - z[y]!, y, rival, [
          [0, 1],
          [2, -1],
        ]),
        slope,
      }
    case 'targeted-dlr':
      return {
        value: ratio(z[t]! - z[y]!, y, t, [
          [0, 1],
          [2, -0.5],
          [3, -0.5],
        ]),
        slope,
      }
  }
}

/** Weights of a layer, [outputs][inputs]. */
type Layer = readonly Float64Array[]

const layer = (key: number, outputs: number, inputs: number): Layer =>
  Array.from({ length: outputs }, (_, row) =>
    Float64Array.from(normals([key, row], inputs), (value) => value / Math.sqrt(inputs)),
  )

/** A classifier in plain JavaScript: linear, or with one hidden layer of ReLUs. */
export interface PlainModel extends AttackedModel {
  readonly weights: Layer
  logitsOf(x: Float32Array): number[]
}

export function plainModel(options: {
  readonly hidden?: number
  readonly classes?: number
  readonly shape?: readonly [number, number, number]
  readonly batch?: number
  readonly key?: number
  /** How many classes count; the others' logits lie far below. All when absent. */
  readonly live?: number
}): PlainModel {
  const { hidden, classes = 5, shape = [1, 6, 6], batch = 7, key = 1, live = classes } = options
  const size = shape[0] * shape[1] * shape[2]
  const inner = hidden === undefined ? null : layer(10 * key, hidden, size)
  const weights = layer(10 * key + 1, classes, hidden ?? size)
  const dot = (a: Float64Array, b: ArrayLike<number>) => a.reduce((sum, value, i) => sum + value * b[i]!, 0)
  // Centred, so that images around grey get logits around 0, and the biases don't decide.
  const features = (x: Float32Array) => {
    const centred = Float64Array.from(x, (value) => value - 0.5)
    return inner ? Float64Array.from(inner, (row) => Math.max(dot(row, centred), 0)) : centred
  }
  const logitsOf = (x: Float32Array) =>
    weights.map((row, k) => 8 * dot(row, features(x)) - (k < live ? 0 : 50))
  return {
    shape,
    classes,
    batch,
    weights,
    logitsOf,
    async forward(x) {
      const rows = x.length / size
      const answer = new Float32Array(rows * classes)
      for (let i = 0; i < rows; i++) answer.set(logitsOf(x.subarray(i * size, (i + 1) * size)), i * classes)
      return answer
    },
    async gradient({ x, labels, targets }, loss) {
      const rows = labels.length
      const logits = new Float32Array(rows * classes)
      const values = new Float32Array(rows)
      const gradient = new Float32Array(x.length)
      for (let i = 0; i < rows; i++) {
        const image = x.subarray(i * size, (i + 1) * size)
        const z = logitsOf(image)
        const { value, slope } = lossOf(loss, z, labels[i]!, targets[i]!)
        logits.set(z, i * classes)
        values[i] = value
        const back = new Float64Array(hidden ?? size)
        for (const [k, row] of weights.entries())
          for (let j = 0; j < back.length; j++) back[j]! += 8 * slope[k]! * row[j]!
        const active = inner ? features(image) : null
        for (let p = 0; p < size; p++) {
          let sum = 0
          if (inner) for (const [j, row] of inner.entries()) sum += active![j]! > 0 ? back[j]! * row[p]! : 0
          else sum = back[p]!
          gradient[i * size + p] = sum
        }
      }
      return { logits, loss: values, gradient }
    },
  }
}

/** Images near grey, labelled as the model sees them, so that decisions are near and the edges of [0,1] far away. */
export function taskFor(
  model: PlainModel,
  options: { norm: NormName; eps: number | ((example: Example) => number); rows?: number; seed?: number },
): Task {
  const { norm, eps, rows = 6, seed = 3 } = options
  const size = model.shape[0] * model.shape[1] * model.shape[2]
  const examples = Array.from({ length: rows }, (_, row) => {
    const origin = decided(model, [seed, row], size)
    const z = model.logitsOf(origin)
    const label = z.indexOf(Math.max(...z))
    const example: Example = { row, origin, label, target: null, eps: 0, key: [seed, 7, row, 0] }
    return { ...example, eps: typeof eps === 'number' ? eps : eps(example) }
  })
  return {
    examples,
    norm: NORMS[norm],
    shape: model.shape,
    classes: model.classes,
    turn: 0,
    restart: 0,
    stopWhenBroken: true,
  }
}

/** The first image drawn that is not next to the boundary, where rounding would decide. */
function decided(model: PlainModel, key: readonly number[], size: number): Float32Array {
  for (let draw = 0; ; draw++) {
    const image = uniforms([...key, draw], size).map((value) => 0.45 + 0.1 * value)
    const [first, second] = model.logitsOf(image).sort((a, b) => b - a)
    if (first! - second! > 0.05) return image
  }
}

/** The exact distance from an image to the nearest other class of a linear model, where [0,1] is not in the way. */
export function exactRadius(model: PlainModel, { origin, label }: Example, norm: NormName): number {
  const z = model.logitsOf(origin)
  return Math.min(
    ...model.weights.flatMap((row, k) => {
      if (k === label) return []
      const w = Float32Array.from(row, (value, i) => 8 * (value - model.weights[label]![i]!))
      return [(z[label]! - z[k]!) / NORMS[norm].dual(w)]
    }),
  )
}

export const marginOf = (model: PlainModel, x: Float32Array, label: number): number =>
  margin(Float32Array.from(model.logitsOf(x)), label)
