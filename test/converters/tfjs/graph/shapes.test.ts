import { SHAPES } from '../../../../converters/tfjs/graph/shapes.ts'
import { flag, int, ints, text } from './file.ts'
import { convolved, everyOperator, features, image, same, unary } from './suite.ts'

everyOperator('Operators that move elements', SHAPES, {
  Identity: unary('Identity'),
  IdentityN: (g) => g.node('IdentityN', [g.input('x', image)]),
  Snapshot: unary('Snapshot'),
  StopGradient: unary('StopGradient'),
  EnsureShape: (g) => g.node('EnsureShape', [g.input('x', image), g.ints([2, 7, 6, 3])]),
  PlaceholderWithDefault: (g) =>
    g.node('Mul', [g.input('x', image), g.node('PlaceholderWithDefault', [g.floats([2, 3, 4])])]),
  FakeQuantWithMinMaxVars: (g) =>
    g.node('FakeQuantWithMinMaxVars', [g.input('x', image), g.floats([-6], []), g.floats([6], [])]),
  Reshape: (g) => [
    g.node('Reshape', [features(g), g.ints([-1, 21, 6])]),
    g.node('Reshape', [g.node('Mean', ['x', g.ints([1, 2])]), g.ints([-1, 1, 1, 3])]),
    g.node('Reshape', ['x', g.ints([-1, 3])]),
  ],
  Squeeze: (g) =>
    g.node('Squeeze', [g.node('Mean', [features(g), g.ints([1, 2])], { keep_dims: flag(true) })], {
      squeeze_dims: ints([1, 2]),
    }),
  ExpandDims: (g) => g.node('ExpandDims', [g.input('x', [-1, 3]), g.ints([-1], [])]),
  Transpose: (g) => {
    const planes = g.node('Transpose', [features(g), g.ints([0, 3, 1, 2])])
    return [g.node('Relu', [planes]), g.node('Transpose', ['x', g.ints([0, 2, 1, 3])])]
  },
  ConcatV2: (g) => [
    g.node('ConcatV2', [features(g), 'x', g.ints([-1], [])]),
    g.node('ConcatV2', [convolved(g, 'x'), convolved(g, 'x'), g.ints([1], [])]),
  ],
  Pack: (g) => g.node('Pack', [features(g), 'x'], { axis: int(2) }),
  Unpack: (g) => {
    const parts = g.node('Unpack', [features(g)], { axis: int(3), num: int(3) })
    return g.node('Sub', [parts, `${parts}:2`])
  },
  Split: (g) => {
    const parts = g.node('Split', [g.ints([3], []), features(g)], { num_split: int(3) })
    return g.node('Sub', [parts, `${parts}:1`])
  },
  SplitV: (g) => {
    const x = features(g)
    const parts = g.node('SplitV', [x, g.ints([2, -1]), g.ints([3], [])], { num_split: int(2) })
    return g.node('Mul', [parts, `${parts}:1`])
  },
  Slice: (g) => g.node('Slice', [features(g), g.ints([0, 1, 2, 0]), g.ints([-1, 3, -1, 2])]),
  StridedSlice: (g) => {
    const x = features(g)
    const slice = (from: number[], to: number[], by: number[], masks: Record<string, number>): string =>
      g.node(
        'StridedSlice',
        [x, g.ints(from), g.ints(to), g.ints(by)],
        Object.fromEntries(Object.entries(masks).map(([name, mask]) => [`${name}_mask`, int(mask)])),
      )
    return [
      slice([0, 1, -3, 0], [0, 6, 9, 2], [1, 2, 1, 1], { begin: 1, end: 1 }),
      slice([0, 5, 0, 0], [0, 1, 0, 0], [1, -2, 1, 1], { begin: 13, end: 13 }),
      slice([0, 0, 1], [0, 0, 2], [1, 1, 1], { ellipsis: 2, begin: 1, end: 1, shrink_axis: 4 }),
      slice([0, 0, 2], [0, 0, 3], [1, 1, 1], { begin: 1, end: 1, new_axis: 2, shrink_axis: 4 }),
    ]
  },
  ReverseV2: (g) => g.node('ReverseV2', [features(g), g.ints([2, 3])]),
  GatherV2: (g) => g.node('GatherV2', [features(g), g.ints([2, 0]), g.ints([3], [])]),
  Tile: (g) => g.node('Tile', [features(g), g.ints([1, 2, 1, 3])]),
  BroadcastTo: (g) =>
    g.node('Mul', [
      g.input('x', [-1, 4, 3]),
      g.node('BroadcastTo', [g.weight('row', [1, 3]), g.ints([4, 3])]),
    ]),
  Pad: (g) => [
    g.node('Relu', [g.node('Pad', [features(g), g.ints([0, 0, 1, 2, 0, 1, 0, 0], [4, 2])])]),
    g.node('MaxPool', [g.node('Pad', ['x', g.ints([0, 0, 1, 0, 0, 1, 0, 0], [4, 2])])], {
      ksize: ints([1, 2, 2, 1]),
      ...same([2, 2]),
    }),
    g.node(
      'Conv2D',
      [g.node('Pad', ['x', g.ints([0, 0, 1, 0, 0, 1, 0, 1], [4, 2])]), g.weight('k', [3, 3, 4, 2])],
      same([2, 2]),
    ),
  ],
  PadV2: (g) =>
    g.node('PadV2', [g.input('x', image), g.ints([0, 0, 1, 2, 0, 1, 0, 0], [4, 2]), g.floats([-2], [])]),
  MirrorPad: (g) =>
    g.node('MirrorPad', [features(g), g.ints([0, 0, 1, 2, 0, 1, 0, 0], [4, 2])], {
      mode: text('REFLECT'),
    }),
  DepthToSpace: (g) =>
    g.node('DepthToSpace', [g.input('x', [-1, 3, 2, 12])], { block_size: int(2), data_format: text('NHWC') }),
  SpaceToBatchND: (g) => {
    const blocks = g.node('SpaceToBatchND', [
      g.input('x', image),
      g.ints([2, 3]),
      g.ints([1, 2, 0, 0], [2, 2]),
    ])
    const inner = g.node('Conv2D', [blocks, g.weight('k', [3, 1, 3, 4])], same([1, 1]))
    return g.node('BatchToSpaceND', [inner, g.ints([2, 3]), g.ints([1, 2, 0, 0], [2, 2])])
  },
  BatchToSpaceND: (g) => {
    const blocks = g.node('SpaceToBatchND', [
      g.input('x', image),
      g.ints([1, 2]),
      g.ints([0, 0, 0, 0], [2, 2]),
    ])
    return g.node('BatchToSpaceND', [blocks, g.ints([1, 2]), g.ints([1, 0, 0, 1], [2, 2])])
  },
  ResizeBilinear: (g) => {
    const x = features(g)
    return [
      g.node('ResizeBilinear', [x, g.ints([14, 12])], { half_pixel_centers: flag(true) }),
      g.node('ResizeBilinear', [x, g.ints([10, 5])], { half_pixel_centers: flag(true) }),
      g.node('ResizeBilinear', [x, g.ints([10, 9])], { align_corners: flag(true) }),
      g.node('ResizeBilinear', [x, g.ints([14, 9])]),
    ]
  },
  ResizeNearestNeighbor: (g) => {
    const x = features(g)
    return [
      g.node('ResizeNearestNeighbor', [x, g.ints([14, 12])]),
      g.node('ResizeNearestNeighbor', [x, g.ints([10, 9])], { half_pixel_centers: flag(true) }),
      g.node('ResizeNearestNeighbor', [x, g.ints([13, 11])], { align_corners: flag(true) }),
    ]
  },
})
