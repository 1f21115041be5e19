import type { Result } from '../../manifests/schema/result.ts'
import type { Tally } from './aggregate.ts'
import type { Protocol } from './plan.ts'

/** Points drawn at most. */
const POINTS = 100

/**
 * Robust accuracy against gradients spent on an example, so that one can see whether more would break more.
 * Under `worst-case`: the share of examples that no attack had broken within so many gradients.
 * Under `each`: one point for each column, alone.
 */
export function budgetCurve(protocol: Protocol, { examples, columns, attacks }: Tally): Result['curve'] {
  const total = examples.length
  const clean = examples.filter((example) => example.clean).length
  const start = { backwards: 0, accuracy: clean / total }
  if (protocol.battery.aggregation === 'each') {
    const points = columns.map(({ cells, backwards }, n) => ({
      backwards: Math.round(backwards / Math.max(cells.size, 1)),
      accuracy: attacks[n]!.robustAccuracy,
    }))
    return [start, ...points.sort((a, b) => a.backwards - b.backwards)]
  }
  const prices = examples
    .filter((example) => example.clean && !example.robust)
    .map(({ backwards }) => backwards)
    .sort((a, b) => a - b)
  const points = prices.flatMap((backwards, i) =>
    prices[i + 1] === backwards ? [] : [{ backwards, accuracy: (clean - i - 1) / total }],
  )
  const most = Math.max(0, ...examples.map(({ backwards }) => backwards))
  const every = Math.ceil(points.length / POINTS)
  const drawn = points.filter((_, i) => i % every === 0 || i === points.length - 1)
  const last = drawn.at(-1) ?? start
  return [
    ...(drawn[0]?.backwards === 0 ? [] : [start]),
    ...drawn,
    ...(last.backwards < most ? [{ backwards: most, accuracy: last.accuracy }] : []),
  ]
}
