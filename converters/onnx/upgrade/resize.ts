import { ZooError } from '../../../manifests/error.ts'
import { type Attributes, describe, type Node } from '../graph.ts'
import type { Rewriter } from './rewriter.ts'
import { changed, type Step, step } from './step.ts'

/**
 * Upsample took its scales as an attribute, then as an input, and became Resize in opset 10; Resize got a region of
 * interest and a choice of coordinate transformations in 11, of which the earlier one is `asymmetric`.
 */
export const RESIZE: readonly Step[] = [
  step('Upsample', 9, scalesToInput),
  step('Upsample', 10, (node) => changed(node, { opType: 'Resize' })),
  step('Resize', 11, withTransformation),
  step('Resize', 13, withoutTensorFlowNearest),
  step('RoiAlign', 16, (node, attributes) =>
    attributes.has('coordinate_transformation_mode')
      ? node
      : changed(node, { with: { coordinate_transformation_mode: 'output_half_pixel' } }),
  ),
]

function scalesToInput(node: Node, attributes: Attributes, rewriter: Rewriter): Node {
  const scales = rewriter.floats(attributes.floats('scales') ?? [])
  return changed(node, { inputs: [node.inputs[0]!, scales], without: ['scales'] })
}

/** The standard of opset 10 left open which pixel is nearest: onnxruntime rounds down to enlarge and up to shrink. */
function withTransformation(node: Node, attributes: Attributes, rewriter: Rewriter): Node {
  const [x, scales] = node.inputs
  const factors = rewriter.constant(scales!)?.numbers ?? []
  const shrinks = factors.some((factor) => factor < 1)
  const nearest = attributes.string('mode', 'nearest') === 'nearest'
  if (nearest && shrinks && factors.some((factor) => factor > 1))
    throw new ZooError(
      'unsupported-model',
      `${describe(node)} of opset 10 shrinks one axis and enlarges another`,
    )
  return changed(node, {
    inputs: [x!, '', scales!],
    with: {
      coordinate_transformation_mode: 'asymmetric',
      ...(nearest && { nearest_mode: shrinks ? 'ceil' : 'floor' }),
    },
  })
}

/**
 * `tf_half_pixel_for_nn`, gone in 13, takes the pixel nearest to u = (x + 0.5) / scale, where `half_pixel` takes that
 * nearest to u - 0.5. Rounding u down is rounding u - 0.5 half up; rounding u half down is rounding u - 0.5 up.
 */
function withoutTensorFlowNearest(node: Node, attributes: Attributes): Node {
  if (attributes.string('coordinate_transformation_mode', '') !== 'tf_half_pixel_for_nn') return node
  const same = { floor: 'round_prefer_ceil', round_prefer_floor: 'ceil' }
  const rounding = attributes.string('nearest_mode', 'round_prefer_floor')
  if (attributes.string('mode', 'nearest') !== 'nearest' || !(rounding in same))
    throw new ZooError('unsupported-model', `${describe(node)} has a coordinate mode that opset 13 took away`)
  return changed(node, {
    with: { coordinate_transformation_mode: 'half_pixel', nearest_mode: same[rounding as keyof typeof same] },
  })
}
