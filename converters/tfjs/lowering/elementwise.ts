import type { AttributeValues } from '../../onnx/builder.ts'
import { type DataType, dataTypeCode, isFloat } from '../../onnx/tensor.ts'
import { broadcast, type Dims, isFixed, shown } from '../dims.ts'
import { type Lowering, unsupported } from './lowering.ts'
import { permuted, reshaped } from './permute.ts'
import { type Computed, type Layout, layoutOf, toChannelsFirst, type Value } from './value.ts'

/** A function of one value, element by element: whatever its layout, the result keeps it. */
export function unary(
  l: Lowering,
  opType: string,
  x: Value,
  attributes: AttributeValues = {},
  dtype: DataType = x.dtype,
): Computed {
  const layout = layoutOf(x)
  return l.computed(l.op(opType, [l.name(x, layout)], attributes), dtype, x.dims, layout)
}

/** An operator over any number of values that are broadcast to one shape. `dtype` is the result's, by default the operands'. */
export function combine(l: Lowering, opType: string, operands: readonly Value[], dtype?: DataType): Computed {
  const { names, dims, layout, common } = aligned(l, operands)
  return l.computed(l.op(opType, names), dtype ?? common, dims, layout)
}

/** `condition ? a : b`, element by element. */
export function select(l: Lowering, condition: Value, a: Value, b: Value): Computed {
  const { names, dims, layout } = aligned(l, [condition, a, b], false)
  return l.computed(l.op('Where', names), a.dtype, dims, layout)
}

/** Limits every element to `[min, max]`; either may be left open. */
export function clip(l: Lowering, x: Value, min: number | undefined, max: number | undefined): Computed {
  const layout = layoutOf(x)
  const limits = [min, max].map((limit) => (limit === undefined ? '' : l.builder.scalar(limit)))
  if (limits[1] === '') limits.pop()
  return l.computed(l.op('Clip', [l.name(x, layout), ...limits]), x.dtype, x.dims, layout)
}

export function cast(l: Lowering, x: Value, dtype: DataType): Value {
  if (x.dtype === dtype) return x
  if (x.kind === 'extents') return { ...x, dtype }
  return unary(l, 'Cast', x, { to: dataTypeCode(dtype) }, dtype)
}

interface Aligned {
  readonly names: readonly string[]
  readonly dims: Dims
  readonly layout: Layout
  readonly common: DataType
}

/** Brings operands to one type and, so that broadcasting pairs the same axes, to one layout. */
function aligned(l: Lowering, operands: readonly Value[], sameType = true): Aligned {
  const dims = operands.reduce<Dims | undefined>(
    (shape, operand) => shape && broadcast(shape, operand.dims),
    [],
  )
  if (dims === undefined)
    throw unsupported(`shapes ${operands.map(({ dims }) => shown(dims)).join(' and ')} don't fit together`)
  const common = operands.find(({ dtype }) => isFloat(dtype))?.dtype ?? operands[0]!.dtype
  const typed = sameType ? operands.map((operand) => cast(l, operand, common)) : operands
  const first = typed.some(
    (operand) => layoutOf(operand) === 'channels-first' && operand.dims.length === dims.length,
  )
  const layout = first ? 'channels-first' : 'as-is'
  return { names: typed.map((operand) => within(l, operand, dims.length, layout)), dims, layout, common }
}

/** The name under which an operand takes part in a broadcast of this rank and layout. */
function within(l: Lowering, operand: Value, rank: number, layout: Layout): string {
  const { dims } = operand
  if (layout === 'as-is' || dims.length === rank) return l.name(operand, layout)
  if (dims.every((dim) => dim === 1)) return l.name(operand)
  const widened = [...new Array<number>(rank - dims.length).fill(1), ...dims]
  if (operand.kind === 'constant' && isFixed(widened))
    return l.weight(operand, `rank ${rank}`, (tensor) =>
      permuted(reshaped(tensor, widened), toChannelsFirst(rank)),
    )
  return l.name(l.computed(l.reshape(l.name(operand), widened), operand.dtype, widened), layout)
}
