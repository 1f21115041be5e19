import { float, GraphBuilder } from '../../converters/onnx/builder.ts'
import { emptyGraph, type Graph, type Model, modelOf } from '../../converters/onnx/graph.ts'

/** Classifiers with random weights, batch norm folded, built as their papers say. */
export interface BenchModel {
  readonly name: string
  readonly batch: number
  readonly size: number
  readonly build: () => Model
}

export const BENCH_MODELS: readonly BenchModel[] = [
  { name: 'ResNet-50', batch: 8, size: 224, build: () => resnet50() },
  { name: 'MobileNetV2', batch: 8, size: 224, build: () => mobilenetV2() },
  { name: 'CIFAR ResNet-18', batch: 128, size: 32, build: () => resnet18() },
  { name: 'ViT-S/16', batch: 8, size: 224, build: () => vitSmall() },
]

/** Layers with random weights of a scale that keeps activations near 1. */
class Net {
  readonly b: GraphBuilder
  readonly #graph: Graph
  #state = 1

  constructor(name: string, size: number) {
    this.#graph = emptyGraph(name)
    this.#graph.inputs.push({ name: 'x', dtype: 'float32', dims: ['N', 3, size, size] })
    this.b = new GraphBuilder(this.#graph)
  }

  finish(output: string, classes: number): Model {
    const name = this.b.op('Identity', [output], {}, { outputs: ['scores'] })
    this.#graph.outputs.push({ name, dtype: 'float32', dims: ['N', classes] })
    return modelOf(this.#graph)
  }

  /** Uniform random weights of the given standard deviation. */
  weights(dims: readonly number[], deviation: number): string {
    const values = new Float32Array(dims.reduce((a, b) => a * b, 1))
    for (let i = 0; i < values.length; i++) {
      this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
      values[i] = (this.#state / 2 ** 31 - 1) * Math.sqrt(3) * deviation
    }
    return this.b.floats(dims, values, 'weight')
  }

  conv(x: string, inputs: number, outputs: number, kernel: number, options: ConvOptions = {}): string {
    const { stride = 1, pad = Math.floor(kernel / 2), group = 1, gain = 2 } = options
    const fanIn = (inputs / group) * kernel * kernel
    const w = this.weights([outputs, inputs / group, kernel, kernel], Math.sqrt(gain / fanIn))
    return this.b.op('Conv', [x, w, this.weights([outputs], 0.05)], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
      group,
    })
  }

  relu = (x: string): string => this.b.op('Relu', [x])
  relu6 = (x: string): string => this.b.op('Clip', [x, this.b.scalar(0), this.b.scalar(6)])
  add = (x: string, y: string): string => this.b.op('Add', [x, y])

  dense(x: string, inputs: number, outputs: number): string {
    const w = this.weights([inputs, outputs], Math.sqrt(1 / inputs))
    return this.add(this.b.op('MatMul', [x, w]), this.weights([outputs], 0.05))
  }

  head(x: string, channels: number, classes: number): string {
    const flat = this.b.op('Flatten', [this.b.op('GlobalAveragePool', [x])])
    const w = this.weights([classes, channels], Math.sqrt(1 / channels))
    return this.b.op('Gemm', [flat, w, this.weights([classes], 0.05)], { transB: 1 })
  }
}

interface ConvOptions {
  readonly stride?: number
  readonly pad?: number
  readonly group?: number
  readonly gain?: number
}

/** He et al. 2016, the stride in the 3x3 convolution. */
function resnet50(): Model {
  const net = new Net('resnet50', 224)
  const stem = net.relu(net.conv('x', 3, 64, 7, { stride: 2 }))
  let x = net.b.op('MaxPool', [stem], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] })
  let channels = 64
  for (const [stage, blocks] of [3, 4, 6, 3].entries())
    for (let block = 0; block < blocks; block++) {
      const width = 64 << stage
      const stride = block === 0 && stage > 0 ? 2 : 1
      const inner = net.relu(net.conv(net.relu(net.conv(x, channels, width, 1)), width, width, 3, { stride }))
      const residual = net.conv(inner, width, 4 * width, 1, { gain: 1 })
      const shortcut = block === 0 ? net.conv(x, channels, 4 * width, 1, { stride, gain: 1 }) : x
      x = net.relu(net.add(residual, shortcut))
      channels = 4 * width
    }
  return net.finish(net.head(x, channels, 1000), 1000)
}

/** The CIFAR form of ResNet-18: a 3x3 stem, four stages of two basic blocks, 64 to 512 channels. */
function resnet18(): Model {
  const net = new Net('resnet18', 32)
  let x = net.relu(net.conv('x', 3, 64, 3))
  let channels = 64
  for (const stage of [0, 1, 2, 3])
    for (const block of [0, 1]) {
      const width = 64 << stage
      const stride = block === 0 && stage > 0 ? 2 : 1
      const inner = net.relu(net.conv(x, channels, width, 3, { stride }))
      const residual = net.conv(inner, width, width, 3, { gain: 1 })
      const shortcut = channels === width ? x : net.conv(x, channels, width, 1, { stride, gain: 1 })
      x = net.relu(net.add(residual, shortcut))
      channels = width
    }
  return net.finish(net.head(x, channels, 10), 10)
}

/** Sandler et al. 2018, width 1. */
function mobilenetV2(): Model {
  const net = new Net('mobilenetv2', 224)
  let x = net.relu6(net.conv('x', 3, 32, 3, { stride: 2 }))
  let channels = 32
  const stages = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ] as const
  for (const [expansion, outputs, blocks, firstStride] of stages)
    for (let block = 0; block < blocks; block++) {
      const stride = block === 0 ? firstStride : 1
      const width = channels * expansion
      const expanded = expansion === 1 ? x : net.relu6(net.conv(x, channels, width, 1))
      const filtered = net.relu6(net.conv(expanded, width, width, 3, { stride, group: width }))
      const projected = net.conv(filtered, width, outputs, 1, { gain: 1 })
      x = stride === 1 && channels === outputs ? net.add(x, projected) : projected
      channels = outputs
    }
  return net.finish(net.head(net.relu6(net.conv(x, channels, 1280, 1)), 1280, 1000), 1000)
}

/** Dosovitskiy et al. 2021 in DeiT's small size: 12 layers, 6 heads, 384 features; GELU as PyTorch exports it. */
function vitSmall(): Model {
  const [features, heads, layers, tokens] = [384, 6, 12, 197]
  const net = new Net('vit', 224)
  const { b } = net
  const ints = (...values: number[]): string => b.int64s(values)
  const patches = net.conv('x', 3, features, 16, { stride: 16, pad: 0 })
  const sequence = b.op('Transpose', [b.op('Reshape', [patches, ints(0, features, -1)])], { perm: [0, 2, 1] })
  const batch = b.op('Shape', ['x'], { start: 0, end: 1 })
  const classShape = b.op('Concat', [batch, ints(1, features)], { axis: 0 })
  const classToken = b.op('Expand', [net.weights([1, 1, features], 0.02), classShape])
  let x = net.add(
    b.op('Concat', [classToken, sequence], { axis: 1 }),
    net.weights([1, tokens, features], 0.02),
  )
  const norm = (value: string): string => {
    const scale = b.floats([features], new Float32Array(features).fill(1), 'scale')
    return b.op('LayerNormalization', [value, scale, net.weights([features], 0.02)], { epsilon: float(1e-6) })
  }
  const gelu = (value: string): string => {
    const erf = b.op('Erf', [b.op('Div', [value, b.scalar(Math.SQRT2)])])
    return b.op('Mul', [b.op('Mul', [value, b.op('Add', [erf, b.scalar(1)])]), b.scalar(0.5)])
  }
  for (let layer = 0; layer < layers; layer++) {
    const qkv = net.dense(norm(x), features, 3 * features)
    const split = b.op('Transpose', [b.op('Reshape', [qkv, ints(0, tokens, 3, heads, features / heads)])], {
      perm: [2, 0, 3, 1, 4],
    })
    const [q, k, v] = [0, 1, 2].map((i) => b.op('Gather', [split, b.constant('int64', [], [i])], { axis: 0 }))
    const scaled = b.op('Mul', [q!, b.scalar((features / heads) ** -0.5)])
    const scores = b.op('MatMul', [scaled, b.op('Transpose', [k!], { perm: [0, 1, 3, 2] })])
    const mixed = b.op('MatMul', [b.op('Softmax', [scores], { axis: -1 }), v!])
    const joined = b.op('Reshape', [
      b.op('Transpose', [mixed], { perm: [0, 2, 1, 3] }),
      ints(0, tokens, features),
    ])
    x = net.add(x, net.dense(joined, features, features))
    x = net.add(x, net.dense(gelu(net.dense(norm(x), features, 4 * features)), 4 * features, features))
  }
  const first = b.op('Gather', [norm(x), b.constant('int64', [], [0])], { axis: 1 })
  const w = net.weights([1000, features], Math.sqrt(1 / features))
  return net.finish(b.op('Gemm', [first, w, net.weights([1000], 0.05)], { transB: 1 }), 1000)
}
