import { type Call, type RuleTable, rule } from '../rule.ts'
import { fixed, product, range, spatial } from '../sizes.ts'
import { type Windows, windowsOf } from '../windows.ts'
import { endPads } from './convolution.ts'
import { holders } from './reduction.ts'

export const pooling: RuleTable = {
  /** Where values tie, the window's first has the gradient, as the forward kernel's indices say. */
  MaxPool: rule((call) => {
    const { op, dy, x, facts } = call
    return [
      () => {
        const sizes = facts.sizes(x[0]!)
        const flat = (value: string) => op.reshape(value, [product(facts.sizes(call.y))])
        const zeros = op.filled([product(sizes)], 0)
        const scattered = op.op('ScatterElements', [zeros, flat(indices(call)), flat(dy)], {
          axis: 0,
          reduction: 'add',
        })
        return op.reshape(scattered, sizes)
      },
    ]
  }),
  AveragePool: rule((call) => [() => spreadWindows(call, averaged(call, windowsOf(call)), windowsOf(call))]),
  /** y = (sum |x|^p)^(1/p): dx = dy (|x| / y)^(p - 1) sign(x). */
  LpPool: rule((call) => [() => powerMean(call, (value) => spreadWindows(call, value, windowsOf(call)))]),

  GlobalAveragePool: rule(({ op, dy, x, facts, formulations }) => [
    () => {
      const sizes = facts.sizes(x[0]!)
      const count = spatial(sizes).reduce((a, b) => a * b, 1)
      return formulations.spread(op, op.scale(dy, 1 / count), sizes)
    },
  ]),
  /** Where values tie they share the gradient. */
  GlobalMaxPool: rule((call) => [
    () => call.op.mul(call.dy, holders(call, range(call.facts.sizes(call.y).length - 2, 2))),
  ]),
  GlobalLpPool: rule((call) => [() => powerMean(call, (value) => value)]),
}

/** Where each window's largest element stands in the whole input, in row-major order. */
function indices(call: Call): string {
  const { op, node, x, attributes } = call
  if (attributes.int('storage_order', 0) === 0) return call.output(1)
  const rowMajor = new Map(node.attributes)
  rowMajor.delete('storage_order')
  return op.repeats({ ...node, attributes: rowMajor }, [x[0]!], 2)[1]!
}

/** What each position's gradient is for each element of its window. */
function averaged(call: Call, windows: Windows): string {
  const { op, dy, node } = call
  const inside = windows.image.every((_, i) => windows.padsBegin[i] === 0 && endPads(windows)[i] === 0)
  if (inside) return op.scale(dy, 1 / windows.kernel.reduce((a, b) => a * b, 1))
  // At the edges it depends on what counts as padding: asked of the forward kernel itself.
  const ones = op.filled([1, 1, ...windows.image], 1)
  const mean = op.repeat(node, [ones])
  const kernel = op.filled([1, 1, ...windows.kernel], 1)
  const count = op.op('Conv', [ones, kernel], {
    kernel_shape: windows.kernel,
    strides: windows.strides,
    dilations: windows.dilations,
    pads: [...windows.padsBegin, ...endPads(windows)],
  })
  return op.mul(dy, op.div(mean, count))
}

/** Adds every position's value to all elements of its window. */
function spreadWindows({ op, x, facts, formulations }: Call, value: string, windows: Windows): string {
  const sizes = facts.sizes(x[0]!)
  const channels = fixed(sizes.slice(1, 2), 'the number of channels')[0]!
  return formulations.spreadWindows(op, value, {
    ...windows,
    padsEnd: endPads(windows),
    channels,
    batch: sizes[0]!,
  })
}

function powerMean({ op, dy, x, y, attributes }: Call, scatter: (value: string) => string): string {
  const p = attributes.int('p', 2)
  const signs = op.op('Sign', [x[0]!])
  if (p === 1) return op.mul(scatter(dy), signs)
  const power = (value: string): string => op.op('Pow', [value, op.scalar(p - 1)])
  // Where y is 0 so are all elements of its window, and the gradient is taken as 0.
  const above = op.op('Greater', [y, op.scalar(0)])
  const weighted = op.where(above, op.div(dy, power(op.where(above, y, op.scalar(1)))))
  return op.mul(scatter(weighted), op.mul(power(op.op('Abs', [x[0]!])), signs))
}
