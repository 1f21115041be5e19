import { isFloat } from '../../tensor.ts'
import { once } from '../once.ts'
import {
  broadcasting,
  type Call,
  noGradient,
  type Rule,
  type RuleTable,
  rule,
  ruleOfAllOutputs,
} from '../rule.ts'
import { axisOf, fixed, needsBatch, range, type Sizes } from '../sizes.ts'
import { unsupported } from '../unsupported.ts'

/** The same elements in the same order. */
const reshaped: Rule = rule(({ op, dy, x, facts }) => [() => op.reshape(dy, facts.sizes(x[0]!)), null])

/** Operators that move elements without computing with them. */
export const shape: RuleTable = {
  Identity: rule(({ dy }) => [() => dy]),
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Transpose: rule(({ op, dy, x, facts, attributes }) => {
    const rank = facts.sizes(x[0]!).length
    const perm = attributes.ints('perm') ?? range(rank).toReversed()
    return [
      () =>
        op.transpose(
          dy,
          range(rank).map((axis) => perm.indexOf(axis)),
        ),
    ]
  }),
  Expand: broadcasting(({ dy }) => [() => dy, null]),
  Tile: rule((call) => [() => tile(call), null]),
  Concat: rule(concat),
  Split: ruleOfAllOutputs((call) => [() => split(call), null]),
  /** DepthToSpace in DCR order is SpaceToDepth's inverse. */
  DepthToSpace: rule((call) => [() => depthToSpace(call)]),
  SpaceToDepth: rule(({ op, dy, attributes }) => [
    () => op.op('DepthToSpace', [dy], { blocksize: attributes.int('blocksize', 1), mode: 'DCR' }),
  ]),
  Trilu: rule(({ node, op, dy, x }) => [() => op.repeat(node, [dy, ...x.slice(1)]), null]),

  Cast: rule(cast),
  CastLike: rule(cast),
  Dropout: rule(dropout),

  Shape: noGradient('a shape'),
  Size: noGradient('a size'),
  ConstantOfShape: noGradient('a constant'),
  EyeLike: noGradient('a constant'),
  RandomNormalLike: noGradient('its input gives only a shape'),
  RandomUniformLike: noGradient('its input gives only a shape'),
}

function cast(call: Call) {
  const { op, dy, x, facts } = call
  const from = facts.dtype(x[0]!)!
  const input = (): string => {
    // Without knowing the numbers that the integers stand for, there is no gradient to give.
    if (!isFloat(from)) throw unsupported(call, 'quantised numbers')
    return op.cast(dy, from)
  }
  return [input, null]
}

/** In inference the identity; in training what was kept keeps its gradient. */
function dropout(call: Call) {
  const { op, dy, x, facts, attributes } = call
  const training = x[2] ? facts.constant(x[2])?.numbers[0] !== 0 : attributes.int('training_mode', 0) !== 0
  const ratio = () => (x[1] ? x[1] : op.scalar(0.5))
  const kept = () => op.div(op.cast(call.output(1)), op.sub(op.scalar(1), ratio()))
  return [() => (training ? op.mul(dy, kept()) : dy), null]
}

/** Sums over the copies: each axis is split into copies and original. */
function tile({ op, dy, x, facts }: Call): string {
  const sizes = facts.sizes(x[0]!)
  const repeats = facts.constant(x[1]!)?.numbers
  if (repeats === undefined) throw needsBatch('the repeats of Tile')
  const copied = range(sizes.length).filter((axis) => repeats[axis] !== 1)
  const split = sizes.flatMap((size, axis) => (copied.includes(axis) ? [repeats[axis]!, size] : [size]))
  const copies = copied.map((axis, before) => axis + before)
  return op.sum(op.reshape(dy, split), copies, false)
}

/** Each input gets its slice; all slices come from one Split. */
function concat(call: Call) {
  const { op, dy, x, facts, attributes } = call
  const axis = axisOf(attributes.int('axis', 0), facts.sizes(x[0]!).length)
  const lengths = fixed(
    x.map((input) => facts.sizes(input)[axis]!),
    'the length of a concatenated axis',
  )
  const pieces = once(() => op.ops('Split', [dy, op.ints(lengths)], x.length, { axis }))
  return x.map((_, i) => () => pieces()[i]!)
}

function split({ op, dys, node, facts, attributes }: Call): string {
  const axis = attributes.int('axis', 0)
  const pieces = node.outputs.map((output, i) => dys[i] ?? op.filled(facts.sizes(output), 0))
  return op.concat(pieces, axis)
}

function depthToSpace({ op, dy, x, facts, attributes }: Call): string {
  const blocksize = attributes.int('blocksize', 1)
  if (attributes.string('mode', 'DCR') === 'DCR') return op.op('SpaceToDepth', [dy], { blocksize })
  const sizes = facts.sizes(x[0]!)
  const [batch, depth, height, width] = sizes as [Sizes[0], number, number, number]
  const blocks = op.reshape(dy, [batch, depth / blocksize ** 2, height, blocksize, width, blocksize])
  return op.reshape(op.transpose(blocks, [0, 1, 3, 5, 2, 4]), sizes)
}
