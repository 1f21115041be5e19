import {
  type ConvolutionOptions,
  convolution,
  depthwiseConvolution,
  transposedConvolution,
} from '../lowering/convolution.ts'
import { unsupported } from '../lowering/lowering.ts'
import { localResponse } from '../lowering/normalisation.ts'
import { pool } from '../lowering/pooling.ts'
import type { Value } from '../lowering/value.ts'
import type { Format, Padding } from '../lowering/window.ts'
import { fused } from './fused.ts'
import type { NodeAttributes } from './graphdef.ts'
import { extentsOf, type NodeCall, type NodeTable } from './rule.ts'

/** Operators that slide a window over an image. */
export const WINDOWS: NodeTable = {
  Conv2D: (call) => convolution(call.l, call.x, call.inputs[1]!, options(call.attributes)),
  Conv3D: (call) => convolution(call.l, call.x, call.inputs[1]!, options(call.attributes)),
  DepthwiseConv2dNative: (call) =>
    depthwiseConvolution(call.l, call.x, call.inputs[1]!, options(call.attributes)),
  _FusedConv2D: (call) => fusedConvolution(call, convolution),
  FusedDepthwiseConv2dNative: (call) => fusedConvolution(call, depthwiseConvolution),
  Conv2DBackpropInput({ l, inputs, attributes }) {
    const sizes = extentsOf(inputs[0], 'a result size')
    const spatial = sizes.slice(1, -1).map((size) => {
      if (typeof size !== 'number') throw unsupported('an image size that depends on the batch size')
      return size
    })
    return transposedConvolution(l, inputs[2]!, inputs[1]!, { ...options(attributes), spatial })
  },
  MaxPool: (call) => pooled(call, 'max'),
  AvgPool: (call) => pooled(call, 'average'),
  MaxPool3D: (call) => pooled(call, 'max'),
  AvgPool3D: (call) => pooled(call, 'average'),
  LRN: ({ l, x, attributes }) =>
    localResponse(l, x, {
      radius: attributes.int('depth_radius', 5),
      bias: attributes.float('bias', 1),
      alpha: attributes.float('alpha', 1),
      beta: attributes.float('beta', 0.5),
    }),
}

function fusedConvolution(call: NodeCall, operation: typeof convolution): Value {
  const { bias, activate } = fused(call)
  return activate(operation(call.l, call.x, call.inputs[1]!, { ...options(call.attributes), bias }))
}

function pooled({ l, x, attributes }: NodeCall, kind: 'max' | 'average'): Value {
  const format = formatOf(attributes)
  const window = spatial(attributes, 'ksize', format)
  const strides = spatial(attributes, 'strides', format)
  return pool(l, kind, x, { window, strides, padding: paddingOf(attributes, format), format })
}

function options(attributes: NodeAttributes): ConvolutionOptions {
  const format = formatOf(attributes)
  const strides = spatial(attributes, 'strides', format)
  const dilations = attributes.ints('dilations')
    ? spatial(attributes, 'dilations', format)
    : strides.map(() => 1)
  return { strides, dilations, padding: paddingOf(attributes, format), format }
}

/** NHWC or NDHWC; NCHW or NCDHW. */
export const formatOf = (attributes: NodeAttributes): Format =>
  attributes.text('data_format', 'NHWC').startsWith('NC') ? 'channels-first' : 'channels-last'

/** The entries of a list over all axes that belong to space. */
const spatial = (attributes: NodeAttributes, name: string, format: Format): number[] => {
  const all = attributes.ints(name)
  if (all === undefined) throw unsupported(`a window without ${name}`)
  return format === 'channels-last' ? all.slice(1, -1) : all.slice(2)
}

function paddingOf(attributes: NodeAttributes, format: Format): Padding {
  const name = attributes.text('padding', 'VALID')
  if (name === 'SAME') return 'same'
  if (name === 'VALID') return 'valid'
  const flat = attributes.ints('explicit_paddings') ?? []
  const pairs = Array.from(
    { length: flat.length / 2 },
    (_, axis) => [flat[2 * axis]!, flat[2 * axis + 1]!] as const,
  )
  if (name !== 'EXPLICIT' || pairs.length < 3) throw unsupported(`padding ${name}`)
  return format === 'channels-last' ? pairs.slice(1, -1) : pairs.slice(2)
}
