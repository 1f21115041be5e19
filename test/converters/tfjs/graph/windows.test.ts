import { WINDOWS } from '../../../../converters/tfjs/graph/windows.ts'
import { float, int, ints, text } from './file.ts'
import { everyOperator, fused, image, same, type Write } from './suite.ts'

const windowed =
  (op: string): Write =>
  (g) => [
    g.node(op, [g.input('x', image)], { ksize: ints([1, 3, 2, 1]), ...same([2, 2]) }),
    g.node(op, ['x'], { ksize: ints([1, 2, 2, 1]), strides: ints([1, 2, 1, 1]), padding: text('VALID') }),
  ]

const windowed3d =
  (op: string): Write =>
  (g) =>
    g.node(op, [g.input('x', [-1, 4, 5, 6, 2])], { ksize: ints([1, 2, 2, 2, 1]), ...same([2, 2, 2]) })

everyOperator('Windows', WINDOWS, {
  Conv2D: (g) => [
    g.node('Conv2D', [g.input('x', image), g.weight('k', [3, 2, 3, 4])], same([2, 1])),
    g.node('Conv2D', ['x', 'k'], {
      strides: ints([1, 2, 2, 1]),
      dilations: ints([1, 1, 1, 1]),
      padding: text('EXPLICIT'),
      explicit_paddings: ints([0, 0, 1, 2, 0, 1, 0, 0]),
    }),
    g.node('Conv2D', ['x', 'k'], { ...same([1, 1]), dilations: ints([1, 2, 3, 1]) }),
  ],
  Conv3D: (g) =>
    g.node('Conv3D', [g.input('x', [-1, 4, 5, 6, 2]), g.weight('k', [2, 2, 2, 2, 3])], {
      ...same([2, 2, 2]),
      data_format: text('NDHWC'),
    }),
  DepthwiseConv2dNative: (g) =>
    g.node('DepthwiseConv2dNative', [g.input('x', image), g.weight('k', [3, 3, 3, 2])], same([2, 2])),
  _FusedConv2D: (g) => {
    const inputs = [g.input('x', image), g.weight('k', [3, 3, 3, 4]), g.weight('b', [4])]
    const slope = g.weight('slope', [4])
    return [
      g.node('_FusedConv2D', inputs, fused([2, 2], 'BiasAdd', 'Relu6')),
      g.node('_FusedConv2D', inputs, fused([1, 1], 'BiasAdd', 'Elu')),
      g.node('_FusedConv2D', inputs, {
        ...fused([1, 1], 'BiasAdd', 'LeakyRelu'),
        leakyrelu_alpha: float(0.3),
      }),
      g.node('_FusedConv2D', [...inputs, slope], fused([1, 1], 'BiasAdd', 'Prelu')),
    ]
  },
  FusedDepthwiseConv2dNative: (g) =>
    g.node(
      'FusedDepthwiseConv2dNative',
      [g.input('x', image), g.weight('k', [3, 3, 3, 1]), g.weight('b', [3])],
      fused([2, 2], 'BiasAdd', 'Relu'),
    ),
  Conv2DBackpropInput: (g) => {
    const x = g.input('x', [-1, 4, 3, 2])
    const batch = g.node('StridedSlice', [g.node('Shape', [x]), g.ints([0]), g.ints([1]), g.ints([1])], {
      shrink_axis_mask: int(1),
    })
    const scalar = (value: number): string => g.ints([value], [])
    const shape = g.node('Pack', [batch, scalar(8), scalar(6), scalar(5)])
    return g.node('Conv2DBackpropInput', [shape, g.weight('k', [3, 3, 5, 2]), x], same([2, 2]))
  },
  MaxPool: windowed('MaxPool'),
  AvgPool: windowed('AvgPool'),
  MaxPool3D: windowed3d('MaxPool3D'),
  AvgPool3D: windowed3d('AvgPool3D'),
  LRN: (g) =>
    g.node('LRN', [g.input('x', [-1, 3, 3, 8])], {
      depth_radius: int(2),
      bias: float(1.5),
      alpha: float(0.2),
      beta: float(0.6),
    }),
})
