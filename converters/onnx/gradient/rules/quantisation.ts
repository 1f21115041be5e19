import { type Call, type RuleTable, rule, ruleThroughIntegers } from '../rule.ts'
import { unsupported } from '../unsupported.ts'

/**
 * Straight through: rounding counts as the identity (Bengio et al. 2013), saturation as zero. The gradient at a
 * quantised value is that of the real number it stands for.
 */
export const quantisation: RuleTable = {
  QuantizeLinear: ruleThroughIntegers((call) => [() => notSaturated(call), trained(call), null]),
  DequantizeLinear: rule((call) => [() => call.dy, trained(call), null]),
}

const trained = (call: Call) => () => {
  throw unsupported(call, 'a trained scale')
}

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  uint4: [0, 15],
  int4: [-8, 7],
}

/** Zero where the value lies beyond the smallest or largest number that can be represented. */
function notSaturated(call: Call): string {
  const { op, dy, x, y, facts, attributes } = call
  const bounds = RANGES[facts.dtype(y) ?? '']
  if (bounds === undefined) throw unsupported(call, `type ${facts.dtype(y)}`)
  const axis = attributes.int('axis', 1)
  const block_size = attributes.int('block_size', 0)
  const restored = op.op('DequantizeLinear', [y, ...x.slice(1)], {
    axis,
    ...(block_size > 0 && { block_size }),
  })
  const code = op.cast(y)
  const beyond = (bound: number, comparison: 'Less' | 'Greater'): string =>
    op.op('And', [op.op('Equal', [code, op.scalar(bound)]), op.op(comparison, [x[0]!, restored])])
  const saturated = op.op('Or', [beyond(bounds[0], 'Less'), beyond(bounds[1], 'Greater')])
  return op.where(saturated, op.scalar(0), dy)
}
