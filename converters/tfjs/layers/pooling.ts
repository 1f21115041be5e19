import { range } from '../dims.ts'
import { pool } from '../lowering/pooling.ts'
import { type Reduction, reduce } from '../lowering/reduction.ts'
import type { Value } from '../lowering/value.ts'
import type { Config } from './config.ts'
import type { Call, LayerTable } from './rule.ts'

export const POOLING: LayerTable = {
  MaxPooling1D: (call) => pooled(call, 'max', 1),
  MaxPooling2D: (call) => pooled(call, 'max', 2),
  MaxPooling3D: (call) => pooled(call, 'max', 3),
  AveragePooling1D: (call) => pooled(call, 'average', 1),
  AveragePooling2D: (call) => pooled(call, 'average', 2),
  AveragePooling3D: (call) => pooled(call, 'average', 3),
  GlobalMaxPooling1D: (call) => global(call, 'ReduceMax'),
  GlobalMaxPooling2D: (call) => global(call, 'ReduceMax'),
  GlobalAveragePooling1D: (call) => global(call, 'ReduceMean'),
  GlobalAveragePooling2D: (call) => global(call, 'ReduceMean'),
}

function pooled({ l, x, config }: Call, kind: 'max' | 'average', rank: number): Value {
  refuseFormat(config, rank)
  const window = config.numbers('pool_size', rank, new Array<number>(rank).fill(2))
  const strides = config.numbers('strides', rank, window)
  return pool(l, kind, x, { window, strides, padding: config.padding, format: config.format })
}

function global({ l, x, config }: Call, reduction: Reduction): Value {
  config.refuse('keepdims', [false])
  refuseFormat(config, x.dims.length - 2)
  const space = range(x.dims.length - 2, config.format === 'channels-last' ? 1 : 2)
  return reduce(l, reduction, x, space, false)
}

/** Along one axis tfjs pools with channels last, whatever the configuration says. */
function refuseFormat(config: Config, rank: number): void {
  if (rank === 1) config.refuse('data_format', ['channels_last'])
}
