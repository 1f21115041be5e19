import { type AttributeValues, float } from '../../builder.ts'
import type { Emitter } from '../emitter.ts'
import { type RuleTable, rule } from '../rule.ts'
import { product, range, type Sizes } from '../sizes.ts'
import { unbroadcast } from '../unbroadcast.ts'

export const matmul: RuleTable = {
  MatMul: rule((call) => {
    const { facts, x } = call
    const [a, b] = [facts.sizes(x[0]!), facts.sizes(x[1]!)]
    // A vector is a matrix of one row on the left, of one column on the right.
    const left: Sizes = a.length === 1 ? [1, a[0]!] : a
    const right: Sizes = b.length === 1 ? [b[0]!, 1] : b
    const { op } = call
    const matrix = (name: string, from: Sizes, to: Sizes) => (from === to ? name : op.reshape(name, to))
    const A = () => matrix(x[0]!, a, left)
    const B = () => matrix(x[1]!, b, right)
    const batch = broadcastBatch(left, right)
    const output: Sizes = [...batch, left.at(-2)!, right.at(-1)!]
    const dy = () => (a.length === 1 || b.length === 1 ? op.reshape(call.dy, output) : call.dy)
    return [
      () => {
        const da = op.matMul(dy(), swap(op, B(), right.length))
        const summed = unbroadcast(op, da, [...batch, ...left.slice(-2)], left)
        return matrix(summed, left, a)
      },
      () => {
        if (right.length === 2 && left.length > 2)
          return matrix(weights(op, A(), left, dy(), output), right, b)
        const db = op.matMul(swap(op, A(), left.length), dy())
        return matrix(unbroadcast(op, db, [...batch, ...right.slice(-2)], right), right, b)
      },
    ]
  }),

  /** alpha A B + beta C, A and B transposed on demand. */
  Gemm: rule(({ attributes, op, dy, x: [a, b, c], y, facts }) => {
    const alpha = attributes.float('alpha', 1)
    const beta = attributes.float('beta', 1)
    const transA = attributes.int('transA', 0)
    const transB = attributes.int('transB', 0)
    const gemm = (left: string, right: string, transposed: AttributeValues) =>
      op.op('Gemm', [left, right], { alpha: float(alpha), ...transposed })
    return [
      () => (transA ? gemm(b!, dy, { transA: transB, transB: 1 }) : gemm(dy, b!, { transB: 1 - transB })),
      () => (transB ? gemm(dy, a!, { transA: 1, transB: transA }) : gemm(a!, dy, { transA: 1 - transA })),
      () => op.scale(unbroadcast(op, dy, facts.sizes(y), facts.sizes(c!)), beta),
    ]
  }),
}

/** The gradient of a matrix that every row of a higher-dimensional value is multiplied with: all rows at once. */
function weights(op: Emitter, a: string, left: Sizes, dy: string, output: Sizes): string {
  const rows = product(left.slice(0, -1))
  const flat = (value: string, sizes: Sizes) => op.reshape(value, [rows, sizes.at(-1)!])
  return op.op('Gemm', [flat(a, left), flat(dy, output)], { transA: 1 })
}

/** Exchanges the last two axes. */
const swap = (op: Emitter, value: string, rank: number): string =>
  op.transpose(value, [...range(rank - 2), rank - 1, rank - 2])

function broadcastBatch(left: Sizes, right: Sizes): Sizes {
  const rank = Math.max(left.length, right.length) - 2
  return range(rank).map((axis) => {
    const l = left[axis + left.length - 2 - rank] ?? 1
    const r = right[axis + right.length - 2 - rank] ?? 1
    return l === 1 ? r : l
  })
}
