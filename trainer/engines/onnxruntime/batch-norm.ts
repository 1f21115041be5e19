import { float, GraphBuilder } from '../../../converters/onnx/builder.ts'
import { Attributes, type Graph, type Node } from '../../../converters/onnx/graph.ts'
import { prune } from '../../../converters/onnx/prune.ts'
import { readsOf } from '../../../converters/onnx/reads.ts'
import { sizeOf } from '../../../converters/onnx/tensor.ts'

/**
 * Folds batch normalisation by running statistics into the convolution before it, as nodes that compute the folded
 * weights from the weights: they stay right when the weights change, and can be differentiated.
 * (`foldBatchNorm` of converters/onnx folds the numbers themselves.)
 */
export function foldRunningStatistics(graph: Graph): Graph {
  const convolutions = soleReadConvolutions(graph)
  const extended = { ...graph, nodes: [...graph.nodes], initializers: new Map(graph.initializers) }
  const builder = new GraphBuilder(extended)
  const nodes = graph.nodes.map((node) => {
    const convolution = normalisesByRunning(node) ? convolutions.get(node.inputs[0]!) : undefined
    return convolution ? folded(builder, convolution, node) : node
  })
  // What was appended computes weights from weights, so it can come first.
  return prune({ ...extended, nodes: [...extended.nodes.slice(graph.nodes.length), ...nodes] })
}

/** Convolutions with weights of known shape whose result is read once, by that result. */
function soleReadConvolutions(graph: Graph): ReadonlyMap<string, Node> {
  const reads = new Map<string, number>()
  for (const name of [...graph.nodes.flatMap(readsOf), ...graph.outputs.map((output) => output.name)])
    reads.set(name, (reads.get(name) ?? 0) + 1)
  const found = graph.nodes.filter(
    ({ opType, domain, inputs, outputs }) =>
      opType === 'Conv' &&
      domain === '' &&
      reads.get(outputs[0]!) === 1 &&
      graph.initializers.has(inputs[1]!),
  )
  return new Map(found.map((node) => [node.outputs[0]!, node]))
}

const normalisesByRunning = (node: Node): boolean =>
  node.opType === 'BatchNormalization' &&
  node.domain === '' &&
  new Attributes(node).int('training_mode', 0) === 0

/** With a = scale / sqrt(variance + epsilon): kernel a·w, bias a·(b - mean) + shift. */
function folded(builder: GraphBuilder, convolution: Node, norm: Node): Node {
  const [x, kernel, bias] = convolution.inputs as [string, string, string?]
  const [, scale, shift, mean, variance] = norm.inputs as [string, string, string, string, string]
  const epsilon = builder.scalar(new Attributes(norm).float('epsilon', 1e-5))
  const deviation = builder.op('Sqrt', [builder.op('Add', [variance, epsilon])])
  const a = builder.op('Div', [scale, deviation])
  const rank = builder.graph.initializers.get(kernel)!.dims.length
  const perOutput = builder.op('Reshape', [a, builder.int64s([-1, ...Array<number>(rank - 1).fill(1)])])
  const centre = bias ? builder.op('Sub', [bias, mean]) : builder.op('Neg', [mean])
  return {
    ...convolution,
    inputs: [
      x,
      builder.op('Mul', [kernel, perOutput]),
      builder.op('Add', [builder.op('Mul', [a, centre]), shift]),
    ],
    outputs: norm.outputs,
  }
}

/**
 * Gives every batch normalisation by the batch running statistics of its own to blend with weight 0.
 * Of an operator whose statistics nobody reads onnxruntime writes them over these inputs, even where they are fed.
 */
export function detachRunningStatistics(graph: Graph): Graph {
  const detached = { ...graph, initializers: new Map(graph.initializers) }
  const builder = new GraphBuilder(detached)
  detached.nodes = graph.nodes.map((node, i) => {
    if (!normalisesByBatch(node)) return node
    const [x, scale, shift, ...running] = node.inputs as [string, string, string, string, string]
    // All different, for what is alike may be made one, and then the variance overwrites the mean.
    const own = running.map((name, j) => {
      const dims = graph.initializers.get(name)!.dims
      return builder.floats(dims, new Float32Array(sizeOf(dims)).fill(2 * i + j), `${name}:unread`)
    })
    return { ...node, inputs: [x, scale, shift, ...own] }
  })
  return detached
}

/** Momentum 0: the running statistics that go in have no say in those that come out. */
const normalisesByBatch = (node: Node): boolean =>
  node.opType === 'BatchNormalization' &&
  node.domain === '' &&
  new Attributes(node).int('training_mode', 0) !== 0 &&
  new Attributes(node).float('momentum', 0.9) === 0

/**
 * Computes the batch's mean and variance in nodes of their own, before batch norm that is given them: providers other
 * than the CPU's have no batch norm in training mode. To be used after differentiation.
 *
 * @param rankOf how many axes a value has
 */
export function withComputedStatistics(graph: Graph, rankOf: (value: string) => number): Graph {
  const computed: Graph = { ...graph, nodes: [], initializers: new Map(graph.initializers) }
  const builder = new GraphBuilder({ ...graph, nodes: [...graph.nodes], initializers: computed.initializers })
  for (const node of graph.nodes) {
    if (!normalisesByBatch(node)) {
      computed.nodes.push(node)
      continue
    }
    const before = builder.graph.nodes.length
    const [x, scale, shift] = node.inputs as [string, string, string]
    const [y, meanName, varianceName] = node.outputs as [string, string?, string?]
    const rank = rankOf(x)
    const axes = builder.int64s([0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2)])
    const mean = builder.op('ReduceMean', [x, axes], { keepdims: 0 }, named(meanName))
    const perChannel = builder.int64s([1, -1, ...Array<number>(rank - 2).fill(1)])
    const centred = builder.op('Sub', [x, builder.op('Reshape', [mean, perChannel])])
    const square = builder.op('Mul', [centred, centred])
    const variance = builder.op('ReduceMean', [square, axes], { keepdims: 0 }, named(varianceName))
    const epsilon = float(new Attributes(node).float('epsilon', 1e-5))
    builder.op('BatchNormalization', [x, scale, shift, mean, variance], { epsilon }, { outputs: [y] })
    computed.nodes.push(...builder.graph.nodes.slice(before))
  }
  return computed
}

const named = (name: string | undefined) => (name ? { outputs: [name] } : {})
