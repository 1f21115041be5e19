import {
  type ConvolutionOptions,
  convolution,
  depthwiseConvolution,
  transposedConvolution,
} from '../lowering/convolution.ts'
import { unsupported } from '../lowering/lowering.ts'
import type { Constant, Value } from '../lowering/value.ts'
import { asImage } from '../lowering/window.ts'
import { activated } from './activations.ts'
import type { Call, LayerTable } from './rule.ts'

export const CONVOLUTIONS: LayerTable = {
  Conv1D: (call) => activatedConvolution(call, 1),
  Conv2D: (call) => activatedConvolution(call, 2),
  Conv3D: (call) => activatedConvolution(call, 3),
  Conv2DTranspose: (call) => transposed(call, 2),
  Conv3DTranspose: (call) => transposed(call, 3),
  DepthwiseConv2D(call) {
    refuseDilation(call, 2)
    const bias = biasOf(call)
    const y = depthwiseConvolution(call.l, call.x, call.weight('depthwise_kernel'), {
      ...options(call, 2),
      bias,
    })
    return activated(call.l, y, call.config)
  },
  SeparableConv2D(call) {
    const { l, x, config, weight } = call
    const each = depthwiseConvolution(l, x, weight('depthwise_kernel'), options(call, 2))
    const point = { strides: [1, 1], dilations: [1, 1], padding: 'valid', format: config.format } as const
    const y = convolution(l, each, weight('pointwise_kernel'), { ...point, bias: biasOf(call) })
    return activated(l, y, config)
  },
}

function activatedConvolution(call: Call, rank: number): Value {
  call.config.refuse('groups', [1])
  const y = convolution(call.l, call.x, call.weight('kernel'), { ...options(call, rank), bias: biasOf(call) })
  return activated(call.l, y, call.config)
}

function transposed(call: Call, rank: number): Value {
  const { l, x, config } = call
  config.refuse('output_padding', [])
  const { padding, strides, format } = options(call, rank)
  const kernel = call.weight('kernel')
  const spatial = asImage(l, x, format).spatial.map((length, axis) => {
    const uncovered = Math.max(kernel.dims[axis]! - strides[axis]!, 0)
    return length * strides[axis]! + (padding === 'valid' ? uncovered : 0)
  })
  refuseDilation(call, rank)
  const y = transposedConvolution(l, x, kernel, { ...options(call, rank), bias: biasOf(call), spatial })
  return activated(l, y, config)
}

/** Of these layers tfjs leaves a dilation that the configuration may name out of the computation. */
function refuseDilation({ config }: Call, rank: number): void {
  const rates = config.numbers('dilation_rate', rank, ones(rank))
  if (rates.some((rate) => rate !== 1))
    throw unsupported(`dilation_rate = ${JSON.stringify(rates)}, which tfjs does not heed`)
}

function options({ config }: Call, rank: number): Omit<ConvolutionOptions, 'bias'> {
  return {
    strides: config.numbers('strides', rank, ones(rank)),
    dilations: config.numbers('dilation_rate', rank, ones(rank)),
    padding: config.padding,
    format: config.format,
  }
}

const ones = (count: number): number[] => new Array<number>(count).fill(1)

const biasOf = ({ config, weight }: Call): Constant | undefined =>
  config.boolean('use_bias', true) ? weight('bias') : undefined
