import { ZooError } from '../../../manifests/error.ts'
import { float } from '../builder.ts'
import { type Attributes, describe, type Node } from '../graph.ts'
import type { Rewriter } from './rewriter.ts'
import { changed, type Step, step } from './step.ts'

export const NORMALISATION: readonly Step[] = [
  step('BatchNormalization', 9, spatialOnly),
  step('BatchNormalization', 14, trainingMode),
  step('GroupNormalization', 21, groupNormalization),
  ...['Softmax', 'LogSoftmax', 'Hardmax'].map((name) => step(name, 13, alongOneAxis)),
]

function spatialOnly(node: Node, attributes: Attributes): Node {
  if (attributes.int('spatial', 1) !== 1)
    throw new ZooError('unsupported-model', `${describe(node)} has statistics per pixel (spatial = 0)`)
  return changed(node, { without: ['spatial'] })
}

/** Before opset 14 further outputs, the statistics, meant training. */
function trainingMode(node: Node): Node {
  const [y, mean = '', variance = '', ...saved] = node.outputs
  if (mean === '' && variance === '') return changed(node, { outputs: [y!] })
  if (saved.some((name) => name !== ''))
    throw new ZooError('unsupported-model', `${describe(node)} was exported in training mode`, {
      hint: 'export the model in evaluation mode',
    })
  return changed(node, { outputs: [y!, mean, variance], with: { training_mode: 1 } })
}

/**
 * In opsets 18 to 20 scale and bias are per group; from 21 on, per channel. The earlier form is an instance
 * normalisation in which each group is one channel.
 */
function groupNormalization(node: Node, attributes: Attributes, rewriter: Rewriter): Node {
  const [x, scale, bias] = node.inputs
  const groups = attributes.int('num_groups', 1)
  const shape = rewriter.op('Shape', [x!])
  const grouped = rewriter.op('Reshape', [x!, rewriter.int64s([0, groups, -1])])
  const normalised = rewriter.op('InstanceNormalization', [grouped, scale!, bias!], {
    epsilon: float(attributes.float('epsilon', 1e-5)),
  })
  return reshaped(node, normalised, shape)
}

/**
 * Before opset 13 these took the input as a matrix, with the axes from `axis` on (1 unless given) as its columns, and
 * worked along the rows; from 13 on they work along one axis, the last unless given.
 */
function alongOneAxis(node: Node, attributes: Attributes, rewriter: Rewriter): Node {
  const [x] = node.inputs
  const axis = attributes.int('axis', 1)
  const rank = rewriter.rank(x!)
  if (axis === -1 || axis + 1 === rank) return changed(node, { with: { axis: -1 } })
  const shape = rewriter.op('Shape', [x!])
  const matrix = rewriter.op('Flatten', [x!], { axis })
  return reshaped(node, rewriter.op(node.opType, [matrix], { axis: -1 }), shape)
}

/** A Reshape that takes the node's place and gives its output the shape of its input. */
const reshaped = (node: Node, value: string, shape: string): Node => ({
  ...node,
  opType: 'Reshape',
  inputs: [value, shape],
  attributes: new Map(),
})
