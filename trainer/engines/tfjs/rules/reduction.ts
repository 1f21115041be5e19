import * as tf from '@tensorflow/tfjs'
import type { Rule, RuleTable } from '../rule.ts'
import { axisIn, inOnnx, toOnnx } from '../value.ts'

const reduction =
  (compute: (x: tf.Tensor, axes: number[] | undefined, keep: boolean) => tf.Tensor): Rule =>
  ({ attributes, input, integers }) => {
    const value = input(0)
    const axes = integers(1) ?? attributes.ints('axes')
    const keep = attributes.int('keepdims', 1) !== 0
    if (axes === undefined || axes.length === 0) {
      if (attributes.int('noop_with_empty_axes', 0) !== 0)
        return { tensor: tf.clone(value.tensor), layout: value.layout }
      return inOnnx(compute(toOnnx(value), undefined, keep))
    }
    if (keep)
      return {
        tensor: compute(
          value.tensor,
          axes.map((axis) => axisIn(value, axis)),
          true,
        ),
        layout: value.layout,
      }
    return inOnnx(compute(toOnnx(value), axes, false))
  }

export const REDUCTION: RuleTable = {
  ReduceSum: reduction((x, axes, keep) => tf.sum(x, axes, keep)),
  ReduceMean: reduction((x, axes, keep) => tf.mean(x, axes, keep)),
  ReduceMax: reduction((x, axes, keep) => tf.max(x, axes, keep)),
}
