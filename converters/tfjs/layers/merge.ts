import { axisOf } from '../dims.ts'
import { combine, unary } from '../lowering/elementwise.ts'
import { type Lowering, unsupported } from '../lowering/lowering.ts'
import { matMul } from '../lowering/matrix.ts'
import { reduce } from '../lowering/reduction.ts'
import { expandDims } from '../lowering/shape.ts'
import { concat } from '../lowering/slice.ts'
import { scalar, type Value } from '../lowering/value.ts'
import type { Call, LayerTable } from './rule.ts'

/** Layers that join several values into one. */
export const MERGE: LayerTable = {
  Add: (call) => chained(call, 'Add'),
  Multiply: (call) => chained(call, 'Mul'),
  Average: (call) => combine(call.l, 'Mul', [chained(call, 'Add'), scalar(1 / call.inputs.length)]),
  Maximum: (call) => chained(call, 'Max'),
  Minimum: (call) => chained(call, 'Min'),
  Concatenate: ({ l, inputs, config }) =>
    concat(l, inputs, axisOf(config.number('axis', -1), inputs[0]!.dims.length)),
  Dot({ l, inputs, config }) {
    const named = config.get('axes')
    const [a, b] = inputs.map((value, i) => {
      const axis = axisOf(Number(Array.isArray(named) ? named[i] : named), value.dims.length)
      return { axis, value: config.boolean('normalize', false) ? normalised(l, value, axis) : value }
    }) as [Side, Side]
    const ranks = `${a.value.dims.length} ${b.value.dims.length}`
    if (ranks === '2 2' && a.axis === 1 && b.axis === 1)
      return reduce(l, 'ReduceSum', combine(l, 'Mul', [a.value, b.value]), [1], true)
    if (ranks !== '3 3') throw unsupported(`products of values with ${ranks.replace(' ', ' and ')} axes`)
    return matMul(l, a.value, b.value, { transposeA: a.axis === 1, transposeB: b.axis === 2 })
  },
}

interface Side {
  readonly value: Value
  readonly axis: number
}

/** One operator from the first input to the last. Values with fewer axes get theirs after the batch, as Keras has it. */
function chained({ l, inputs }: Call, opType: string): Value {
  const rank = Math.max(...inputs.map(({ dims }) => dims.length))
  return inputs
    .map((value) => {
      const missing = rank - value.dims.length
      return missing === 0
        ? value
        : expandDims(
            l,
            value,
            Array.from({ length: missing }, (_, i) => i + 1),
          )
    })
    .reduce((joined, value) => combine(l, opType, [joined, value]))
}

/** Divided by its length along an axis, which counts as at least sqrt(1e-7). */
function normalised(l: Lowering, x: Value, axis: number): Value {
  const squares = reduce(l, 'ReduceSum', combine(l, 'Mul', [x, x]), [axis], true)
  return combine(l, 'Div', [x, unary(l, 'Sqrt', combine(l, 'Max', [squares, scalar(1e-7)]))])
}
