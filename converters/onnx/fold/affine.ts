import { Attributes, type Node } from '../graph.ts'
import type { Tensor } from '../tensor.ts'

/** y = scale * x + shift, one of each per channel, in float64. */
export interface Affine {
  readonly scale: Float64Array
  readonly shift: Float64Array
}

export type Constants = ReadonlyMap<string, Tensor>

/**
 * What a node does to its input `x`, if that is no more than scaling and shifting each channel by constants.
 *
 * @param axis the channel axis of x, counted from the end: 0 for the last
 * @param rank number of axes of x
 */
export function affineOf(
  node: Node,
  x: string,
  { channels, axis, rank }: { channels: number; axis: number; rank: number },
  constants: Constants,
): Affine | undefined {
  if (node.domain !== '') return undefined
  if (node.opType === 'BatchNormalization') return batchNorm(node, x, channels, constants)
  const first = node.inputs[0] === x
  const other = constants.get(node.inputs[first ? 1 : 0] ?? '')
  const values = other && perChannel(other, channels, axis, rank)
  if (!values || node.inputs[0] === node.inputs[1]) return undefined
  const ones = new Float64Array(channels).fill(1)
  const zeros = new Float64Array(channels)
  switch (node.opType) {
    case 'Add':
      return { scale: ones, shift: values }
    case 'Sub':
      return first
        ? { scale: ones, shift: values.map((value) => -value) }
        : { scale: ones.fill(-1), shift: values }
    case 'Mul':
      return { scale: values, shift: zeros }
    case 'Div':
      return first ? { scale: values.map((value) => 1 / value), shift: zeros } : undefined
    default:
      return undefined
  }
}

function batchNorm(node: Node, x: string, channels: number, constants: Constants): Affine | undefined {
  const attributes = new Attributes(node)
  const parameters = node.inputs.slice(1).map((name) => {
    const tensor = constants.get(name)
    return tensor && perChannel(tensor, channels, 0, 1)
  })
  const [gamma, beta, mean, variance] = parameters
  const statistics = node.outputs.slice(1).some((output) => output !== '')
  if (node.inputs[0] !== x || attributes.int('training_mode', 0) === 1 || statistics) return undefined
  if (!gamma || !beta || !mean || !variance) return undefined
  const epsilon = attributes.float('epsilon', 1e-5)
  const scale = gamma.map((value, i) => value / Math.sqrt(variance[i]! + epsilon))
  return { scale, shift: beta.map((value, i) => value - mean[i]! * scale[i]!) }
}

/** `next` after `first`, as one. */
export const composed = (first: Affine, next: Affine): Affine => ({
  scale: first.scale.map((value, i) => value * next.scale[i]!),
  shift: first.shift.map((value, i) => value * next.scale[i]! + next.shift[i]!),
})

/** A constant as one number per channel, if that is how it broadcasts to x. */
function perChannel(tensor: Tensor, channels: number, axis: number, rank: number): Float64Array | undefined {
  if (!isNumeric(tensor) || tensor.dims.length > rank) return undefined
  const { dims } = tensor
  const along = dims.at(-1 - axis) ?? 1
  if (tensor.size !== along || (along !== 1 && along !== channels)) return undefined
  const values = tensor.elements as Float32Array | Float64Array
  return Float64Array.from({ length: channels }, (_, i) => values[along === 1 ? 0 : i]!)
}

export const isNumeric = (tensor: Tensor): boolean => tensor.dtype === 'float32' || tensor.dtype === 'float64'
