import { broadcast, type Dim, range, sameDim, shown } from '../dims.ts'
import { combine } from './elementwise.ts'
import { type Lowering, unsupported } from './lowering.ts'
import type { Computed, Value } from './value.ts'

export interface MatrixOptions {
  readonly transposeA?: boolean
  readonly transposeB?: boolean
  /** Added to every row. */
  readonly bias?: Value | undefined
}

/** A product of matrices, or of stacks of them. With two axes each it is one Gemm, bias and all. */
export function matMul(
  l: Lowering,
  a: Value,
  b: Value,
  { transposeA = false, transposeB = false, bias }: MatrixOptions = {},
): Computed {
  const left = transposeA ? swapped(a.dims) : a.dims
  const right = transposeB ? swapped(b.dims) : b.dims
  const stack = broadcast(left.slice(0, -2), right.slice(0, -2))
  if (left.length < 2 || right.length < 2 || stack === undefined || left.at(-1) !== right.at(-2))
    throw unsupported(`matrices ${shown(left)} and ${shown(right)} cannot be multiplied`)
  const dims = [...stack, left.at(-2)!, right.at(-1)!]
  if (left.length === 2 && right.length === 2 && (!bias || bias.dims.length < 3)) {
    const inputs = [l.name(a), l.name(b), ...(bias ? [l.name(bias)] : [])]
    const name = l.op('Gemm', inputs, { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 })
    return l.computed(name, a.dtype, dims)
  }
  const factor = (x: Value, transposed: boolean): string =>
    transposed ? l.arranged(x, swapped(range(x.dims.length))) : l.name(x)
  const result = l.computed(l.op('MatMul', [factor(a, transposeA), factor(b, transposeB)]), a.dtype, dims)
  return bias ? combine(l, 'Add', [result, bias]) : result
}

/** A sum of products along letters: `abc,cde->abde`. */
export function einsum(l: Lowering, equation: string, operands: readonly Value[]): Computed {
  const [left = '', right] = equation.replaceAll(' ', '').split('->')
  const axes = left.split(',')
  const sizes = new Map<string, Dim>()
  const fits = axes.every((letters, i) => {
    const dims = operands[i]?.dims ?? []
    return (
      letters.length === dims.length &&
      [...letters].every((letter, axis) => {
        const known = sizes.get(letter) ?? dims[axis]!
        sizes.set(letter, known)
        return sameDim(known, dims[axis]!)
      })
    )
  })
  if (right === undefined || !fits || axes.length !== operands.length)
    throw unsupported(`the sum ${equation} of ${operands.map(({ dims }) => shown(dims)).join(' and ')}`)
  const dims = [...right].map((letter) => sizes.get(letter)!)
  const inputs = operands.map((value) => l.name(value))
  return l.computed(l.op('Einsum', inputs, { equation: `${left}->${right}` }), operands[0]!.dtype, dims)
}

const swapped = <T>(items: readonly T[]): T[] => [...items.slice(0, -2), items.at(-1)!, items.at(-2)!]
