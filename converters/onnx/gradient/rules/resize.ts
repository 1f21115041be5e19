import type { Attribute, Node } from '../../graph.ts'
import { alongAxis } from '../along-axis.ts'
import type { Emitter } from '../emitter.ts'
import { type Call, type RuleTable, rule } from '../rule.ts'
import { axisOf, fixed, range, type Sizes } from '../sizes.ts'
import { unsupported } from '../unsupported.ts'

export const resize: RuleTable = {
  Resize: rule((call) => [() => resized(call), null]),
}

interface Axis {
  readonly axis: number
  readonly from: number
  readonly to: number
  /** Where the node gives scales and not sizes. */
  readonly scale: number | undefined
}

/**
 * Resizing is linear and works on each axis by itself, so along each axis it is a matrix, and the gradient multiplies
 * with its transpose. The matrix is asked of the operator itself, by resizing an identity matrix.
 */
function resized(call: Call): string {
  const { op, node, facts, attributes } = call
  const sizes = facts.sizes(call.x[0]!)
  if (attributes.string('coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize')
    throw unsupported(call, 'tf_crop_and_resize')
  if (attributes.string('keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    throw unsupported(call, 'keep_aspect_ratio_policy')
  const axes = resizedAxes(call, sizes)
  const blocks = blockSizes(call, axes)
  if (blocks) return sumBlocks(op, call.dy, blocks)
  const current = [...facts.sizes(call.y)]
  let value = call.dy
  for (const one of axes) {
    value = alongAxis(op, value, current, one.axis, op.transpose(weightsAlong(op, node, one), [1, 0]))
    current[one.axis] = one.from
  }
  return value
}

/** The matrix [from, to] that one axis is multiplied with. */
function weightsAlong(op: Emitter, node: Node, { from, to, scale }: Axis): string {
  const identity = op.op('EyeLike', [op.filled([from, from], 0)], {})
  const image = op.reshape(identity, [1, from, from, 1])
  const size = scale === undefined ? ['', op.ints([1, from, to, 1])] : [op.singles([4], [1, 1, scale, 1])]
  const attributes = new Map<string, Attribute>(node.attributes)
  attributes.delete('axes')
  return op.reshape(op.repeat({ ...node, attributes }, [image, '', ...size]), [from, to])
}

function resizedAxes(call: Call, sizes: Sizes): Axis[] {
  const { facts, x, y, attributes } = call
  const given = attributes.ints('axes')?.map((axis) => axisOf(axis, sizes.length)) ?? range(sizes.length)
  const scales = x[2] ? facts.constant(x[2])?.numbers : undefined
  return given.flatMap((axis, i): Axis[] => {
    const scale = scales && scales.length > 0 ? scales[i] : undefined
    if (typeof sizes[axis] !== 'number' && (scale === undefined || scale === 1)) return []
    const [from, to] = fixed([sizes[axis]!, facts.sizes(y)[axis]!], 'a resized axis') as [number, number]
    return from === to && (scale === undefined || scale === 1) ? [] : [{ axis, from, to, scale }]
  })
}

/** Where every pixel is copied to a block of an image, the block's height and width. */
function blockSizes({ attributes, facts, y }: Call, axes: readonly Axis[]): [number, number] | undefined {
  const rounding = attributes.string('nearest_mode', 'round_prefer_floor')
  const coordinates = attributes.string('coordinate_transformation_mode', 'half_pixel')
  const copies =
    attributes.string('mode', 'nearest') === 'nearest' &&
    ((coordinates === 'asymmetric' && rounding === 'floor') ||
      (coordinates === 'half_pixel' && rounding === 'round_prefer_floor'))
  const whole = axes.every(
    ({ axis, from, to, scale }) => axis >= 2 && to % from === 0 && (scale ?? to / from) === to / from,
  )
  if (!copies || !whole || axes.length === 0 || facts.sizes(y).length !== 4) return undefined
  const factor = (axis: number): number => {
    const found = axes.find((candidate) => candidate.axis === axis)
    return found ? found.to / found.from : 1
  }
  return [factor(2), factor(3)]
}

const sumBlocks = (op: Emitter, dy: string, block: readonly [number, number]): string =>
  op.scale(op.op('AveragePool', [dy], { kernel_shape: block, strides: block }), block[0] * block[1])
