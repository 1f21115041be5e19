import { Attributes, type Node } from '../graph.ts'
import { Tensor } from '../tensor.ts'
import { type Affine, type Constants, isNumeric } from './affine.ts'

/** A layer whose weights an affine map of its output channels can go into. */
export interface Linear {
  readonly node: Node
  readonly channels: number
  /** Axes of the output, and where among them the channels are, counted from the end. */
  readonly rank: number
  readonly axis: number
  readonly weight: string
  readonly bias: string | undefined
  /** The weights and bias that give `affine` of what they gave before, each rounded once. */
  scaled(affine: Affine): { weight: Tensor; bias: Tensor }
  /** The node with the new weights' names. */
  withWeights(weight: string, bias: string): Node
}

/** Reads a Conv, ConvTranspose or Gemm with constant weights; undefined for anything else. */
export function linearOf(node: Node, constants: Constants): Linear | undefined {
  if (node.domain !== '') return undefined
  const [x, weight, bias] = node.inputs
  const kernel = constants.get(weight ?? '')
  if (!kernel || !isNumeric(kernel) || (bias && !isNumericConstant(constants, bias))) return undefined
  if (node.opType === 'Gemm') return gemm(node, kernel, constants)
  if (node.opType !== 'Conv' && node.opType !== 'ConvTranspose') return undefined
  const group = new Attributes(node).int('group', 1)
  const transposed = node.opType === 'ConvTranspose'
  const channels = transposed ? kernel.dims[1]! * group : kernel.dims[0]!
  const inner = kernel.size / (kernel.dims[0]! * kernel.dims[1]!)
  const channelOf = transposed
    ? // [in, out / group, ...]: the rows of each group of inputs belong to one group of outputs.
      (i: number) => {
        const row = Math.floor(i / (inner * kernel.dims[1]!))
        const within = Math.floor(i / inner) % kernel.dims[1]!
        return Math.floor((row * group) / kernel.dims[0]!) * kernel.dims[1]! + within
      }
    : (i: number) => Math.floor(i / (inner * kernel.dims[1]!))
  const shift = bias ? float64(constants.get(bias)!) : new Float64Array(channels)
  return {
    node,
    channels,
    rank: kernel.dims.length,
    axis: kernel.dims.length - 2,
    weight: weight!,
    bias: bias || undefined,
    scaled: (affine) => ({
      weight: mapped(kernel, (value, i) => value * affine.scale[channelOf(i)]!),
      bias: shifted(kernel, shift, affine),
    }),
    withWeights: (newWeight, newBias) => ({ ...node, inputs: [x!, newWeight, newBias] }),
  }
}

/** alpha * A B + beta * C, with C, if there is one, a row or a scalar. */
function gemm(node: Node, kernel: Tensor, constants: Constants): Linear | undefined {
  const attributes = new Attributes(node)
  const transposed = attributes.int('transB', 0) === 1
  const [x, weight, bias] = node.inputs
  const [rows, columns] = kernel.dims as [number, number]
  const channels = transposed ? rows : columns
  const row = bias ? constants.get(bias)! : undefined
  if (row && (row.size !== (row.dims.at(-1) ?? 1) || (row.size !== 1 && row.size !== channels)))
    return undefined
  const beta = attributes.float('beta', 1)
  const values = row && float64(row)
  const shift = Float64Array.from({ length: channels }, (_, i) =>
    values ? beta * values[i % values.length]! : 0,
  )
  return {
    node,
    channels,
    rank: 2,
    axis: 0,
    weight: weight!,
    bias: bias || undefined,
    scaled: (affine) => ({
      weight: mapped(
        kernel,
        (value, i) => value * affine.scale[transposed ? Math.floor(i / columns) : i % columns]!,
      ),
      bias: shifted(kernel, shift, affine),
    }),
    withWeights: (newWeight, newBias) => {
      const others = new Map(node.attributes)
      others.delete('beta')
      return { ...node, inputs: [x!, newWeight, newBias], attributes: others }
    },
  }
}

const isNumericConstant = (constants: Constants, name: string): boolean => {
  const tensor = constants.get(name)
  return tensor !== undefined && isNumeric(tensor)
}

const float64 = (tensor: Tensor): Float64Array =>
  Float64Array.from(tensor.elements as Float32Array | Float64Array)

/** A tensor like another, its values computed in float64 and rounded as they are stored. */
function mapped(tensor: Tensor, value: (value: number, index: number) => number): Tensor {
  const elements = tensor.elements as Float32Array | Float64Array
  const results = tensor.dtype === 'float32' ? new Float32Array(tensor.size) : new Float64Array(tensor.size)
  for (let i = 0; i < results.length; i++) results[i] = value(elements[i]!, i)
  return Tensor.of(tensor.dtype, tensor.dims, results)
}

function shifted(kernel: Tensor, bias: Float64Array, { scale, shift }: Affine): Tensor {
  const values = bias.map((value, i) => value * scale[i]! + shift[i]!)
  return Tensor.of(
    kernel.dtype,
    [values.length],
    kernel.dtype === 'float32' ? Float32Array.from(values) : values,
  )
}
