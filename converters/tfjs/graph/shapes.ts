import { axisOf, type Dim, range } from '../dims.ts'
import { type Lowering, unsupported } from '../lowering/lowering.ts'
import { depthToSpace, resize } from '../lowering/resize.ts'
import { broadcastTo, expandDims, reshape, squeeze, tile, transpose } from '../lowering/shape.ts'
import { concat, gather, pack, pad, slice, split, unpack } from '../lowering/slice.ts'
import type { Value } from '../lowering/value.ts'
import { extentsOf, type NodeCall, type NodeRule, type NodeTable, numberOf, numbersOf } from './rule.ts'
import { strided } from './strides.ts'

const same: NodeRule = ({ x }) => x

/** Operators that move elements about and change none. */
export const SHAPES: NodeTable = {
  Identity: same,
  IdentityN: ({ inputs }) => inputs,
  Snapshot: same,
  StopGradient: same,
  EnsureShape: same,
  PlaceholderWithDefault: same,
  /** tfjs leaves the rounding out that training with quantisation in mind adds. */
  FakeQuantWithMinMaxVars: same,
  Reshape: ({ l, x, inputs }) => reshape(l, x, extentsOf(inputs[1], 'a shape')),
  Squeeze: ({ l, x, attributes }) =>
    squeeze(
      l,
      x,
      (attributes.ints('squeeze_dims') ?? attributes.ints('axis') ?? []).map((axis) =>
        axisOf(axis, x.dims.length),
      ),
    ),
  ExpandDims: ({ l, x, inputs }) =>
    expandDims(l, x, [axisOf(numberOf(inputs[1], 'an axis'), x.dims.length + 1)]),
  Transpose: ({ l, x, inputs }) => transpose(l, x, numbersOf(inputs[1], 'an order of axes')),
  ConcatV2({ l, inputs }) {
    const axis = numberOf(inputs.at(-1), 'an axis')
    return concat(l, inputs.slice(0, -1), axisOf(axis, inputs[0]!.dims.length))
  },
  Pack: ({ l, inputs, attributes }) =>
    pack(l, inputs, axisOf(attributes.int('axis', 0), inputs[0]!.dims.length + 1)),
  Unpack: ({ l, x, attributes }) => unpack(l, x, axisOf(attributes.int('axis', 0), x.dims.length)),
  Split({ l, inputs, attributes }) {
    const x = inputs[1]!
    const axis = axisOf(numberOf(inputs[0], 'an axis'), x.dims.length)
    const parts = attributes.int('num_split', 1)
    return split(l, x, axis, new Array<number>(parts).fill((x.dims[axis] as number) / parts))
  },
  SplitV({ l, x, inputs }) {
    const axis = axisOf(numberOf(inputs[2], 'an axis'), x.dims.length)
    const sizes = numbersOf(inputs[1], 'sizes')
    const left = (x.dims[axis] as number) - sizes.filter((size) => size >= 0).reduce((a, b) => a + b, 0)
    return split(
      l,
      x,
      axis,
      sizes.map((size) => (size < 0 ? left : size)),
    )
  },
  Slice({ l, x, inputs }) {
    const begins = numbersOf(inputs[1], 'positions')
    const sizes = extentsOf(inputs[2], 'sizes')
    const cuts = begins.flatMap((begin, axis) => {
      const length = x.dims[axis]!
      if (typeof length !== 'number') {
        if (begin === 0 && (sizes[axis] === -1 || typeof sizes[axis] === 'object')) return []
        throw unsupported('a slice of the batch')
      }
      const size = sizes[axis] === -1 ? length - begin : (sizes[axis] as number)
      return [{ axis, begin, size, step: 1 }]
    })
    return slice(l, x, cuts)
  },
  StridedSlice(call) {
    const { cuts, dims } = strided(call)
    return reshape(call.l, slice(call.l, call.x, cuts), dims)
  },
  ReverseV2({ l, x, inputs }) {
    const axes = numbersOf(inputs[1], 'axes').map((axis) => axisOf(axis, x.dims.length))
    return slice(
      l,
      x,
      axes.map((axis) => {
        const size = x.dims[axis] as number
        return { axis, begin: size - 1, size, step: -1 }
      }),
    )
  },
  GatherV2: ({ l, x, inputs, attributes }) => {
    if (attributes.int('batch_dims', 0) !== 0) throw unsupported('gathering image by image')
    return gather(l, x, inputs[1]!, axisOf(inputs[2] ? numberOf(inputs[2], 'an axis') : 0, x.dims.length))
  },
  Tile: ({ l, x, inputs }) => tile(l, x, numbersOf(inputs[1], 'counts')),
  BroadcastTo: ({ l, x, inputs }) => broadcastTo(l, x, extentsOf(inputs[1], 'a shape')),
  Pad: ({ l, x, inputs }) => pad(l, x, pairs(inputs[1])),
  PadV2: ({ l, x, inputs }) => pad(l, x, pairs(inputs[1]), 'constant', numberOf(inputs[2], 'a filling')),
  MirrorPad({ l, x, inputs, attributes }) {
    if (attributes.text('mode', 'REFLECT') !== 'REFLECT') throw unsupported('symmetric padding')
    return pad(l, x, pairs(inputs[1]), 'reflect')
  },
  DepthToSpace({ l, x, attributes }) {
    if (attributes.text('data_format', 'NHWC') !== 'NHWC')
      throw unsupported('DepthToSpace with channels first')
    return depthToSpace(l, x, attributes.int('block_size', 1))
  },
  SpaceToBatchND: ({ l, x, inputs }) => spaceToBatch(l, x, numbersOf(inputs[1], 'a block'), pairs(inputs[2])),
  BatchToSpaceND: ({ l, x, inputs }) => batchToSpace(l, x, numbersOf(inputs[1], 'a block'), pairs(inputs[2])),
  ResizeBilinear: (call) => resized(call, 'bilinear'),
  ResizeNearestNeighbor: (call) => resized(call, 'nearest'),
}

/** A matrix of befores and afters, by axis. */
function pairs(value: Value | undefined): [number, number][] {
  const flat = numbersOf(value, 'pads')
  return Array.from({ length: flat.length / 2 }, (_, axis) => [flat[2 * axis]!, flat[2 * axis + 1]!])
}

function resized({ l, x, inputs, attributes }: NodeCall, method: 'bilinear' | 'nearest'): Value {
  const [height, width] = numbersOf(inputs[1], 'an image size') as [number, number]
  return resize(l, x, {
    method,
    size: [height, width],
    alignCorners: attributes.flag('align_corners'),
    halfPixelCenters: attributes.flag('half_pixel_centers'),
    format: 'channels-last',
  })
}

/** Images become batches of every `block`-th pixel (TensorFlow's way to dilate a convolution). */
function spaceToBatch(l: Lowering, x: Value, block: readonly number[], pads: [number, number][]): Value {
  const rank = block.length
  const rest = x.dims.slice(1 + rank)
  const padded = pad(l, x, [[0, 0], ...pads, ...rest.map((): [number, number] => [0, 0])])
  const [batch, ...space] = padded.dims.slice(0, 1 + rank) as [Dim, ...number[]]
  const cut = space.flatMap((size, i) => [size / block[i]!, block[i]!])
  const split = reshape(l, padded, [batch, ...cut, ...rest])
  const blocks = block.map((_, i) => 2 + 2 * i)
  const perm = [...blocks, 0, ...block.map((_, i) => 1 + 2 * i), ...range(rest.length, 1 + 2 * rank)]
  return reshape(l, transpose(l, split, perm), [-1, ...space.map((size, i) => size / block[i]!), ...rest])
}

function batchToSpace(l: Lowering, x: Value, block: readonly number[], crops: [number, number][]): Value {
  const rank = block.length
  const [, ...space] = x.dims.slice(0, 1 + rank) as [Dim, ...number[]]
  const rest = x.dims.slice(1 + rank)
  const split = reshape(l, x, [...block, -1, ...space, ...rest])
  const perm = [rank, ...block.flatMap((_, i) => [rank + 1 + i, i]), ...range(rest.length, 1 + 2 * rank)]
  const joined = reshape(l, transpose(l, split, perm), [
    -1,
    ...space.map((size, i) => size * block[i]!),
    ...rest,
  ])
  const cuts = crops.map(([before, after], i) => {
    const axis = i + 1
    return { axis, begin: before, size: (joined.dims[axis] as number) - before - after, step: 1 }
  })
  return slice(l, joined, cuts)
}
