import type { Emitter } from '../emitter.ts'
import type { Convolution } from '../formulations.ts'
import { type Call, type RuleTable, rule } from '../rule.ts'
import { fixed, range } from '../sizes.ts'
import { extent, transposedWindowsOf, type Windows, windowsOf } from '../windows.ts'
import { weightGradient } from './convolution-weights.ts'

export const convolution: RuleTable = {
  Conv: rule((call) => {
    const { op, dy, x, formulations } = call
    const shape = convolutionOf(call)
    return [
      () => formulations.convolutionInput(op, dy, shape),
      () => weightGradient(op, { image: x[0]!, positions: dy, convolution: shape }),
      () => biasGradient(op, dy, shape),
    ]
  }),

  /** The gradient of a convolution: so its own gradient is a convolution. */
  ConvTranspose: rule((call) => {
    const { op, dy, x } = call
    const shape = transposedConvolutionOf(call)
    return [
      () =>
        op.op('Conv', [dy, x[1]!], {
          kernel_shape: shape.kernel,
          strides: shape.strides,
          dilations: shape.dilations,
          group: shape.group,
          pads: [...shape.padsBegin, ...endPads(shape)],
        }),
      () => weightGradient(op, { image: dy, positions: x[0]!, convolution: shape }),
      () => biasGradient(op, dy, shape),
    ]
  }),
}

function convolutionOf(call: Call): Convolution {
  const weights = call.x[1]!
  const [outputs, inputsPerGroup, ...kernel] = fixed(call.facts.sizes(weights), 'a kernel') as [
    number,
    number,
    ...number[],
  ]
  const group = call.attributes.int('group', 1)
  const batch = call.facts.sizes(call.x[0]!)[0]!
  return { ...windowsOf(call, kernel), batch, weights, group, outputs, inputs: inputsPerGroup * group }
}

/** The convolution that a transposed one is the gradient of: its image is the transposed one's result. */
function transposedConvolutionOf(call: Call): Convolution {
  const weights = call.x[1]!
  const [outputs, inputsPerGroup, ...kernel] = fixed(call.facts.sizes(weights), 'a kernel') as [
    number,
    number,
    ...number[],
  ]
  const group = call.attributes.int('group', 1)
  const batch = call.facts.sizes(call.x[0]!)[0]!
  return {
    ...transposedWindowsOf(call, kernel),
    batch,
    weights,
    group,
    outputs,
    inputs: inputsPerGroup * group,
  }
}

/** Padding at the end with which the windows end exactly at the last position. */
export const endPads = ({ positions, strides, kernel, dilations, image, padsBegin }: Windows): number[] =>
  positions.map((count, i) =>
    Math.max(0, (count - 1) * strides[i]! + extent(kernel[i]!, dilations[i]!) - image[i]! - padsBegin[i]!),
  )

const biasGradient = (op: Emitter, dy: string, { kernel }: Windows): string =>
  op.sum(dy, [0, ...range(kernel.length, 2)], false)
