import { makeNode } from '../../converters/onnx/builder.ts'
import type { Graph, Node } from '../../converters/onnx/graph.ts'
import { toFloat16 } from '../../converters/onnx/half.ts'
import { dataTypeCode, Tensor } from '../../converters/onnx/tensor.ts'

/** Operators whose second input is a kernel: these hold all but a few of a network's numbers. */
const LAYERS = new Set(['Conv', 'Gemm'])

/**
 * The graph with its kernels stored in float16, half the size, and cast to float32 before use: runtimes do that once,
 * when they load it, and compute in float32. Biases and what norms learnt stay in float32.
 */
export function withHalfKernels(graph: Graph): Graph {
  const initializers = new Map(graph.initializers)
  const casts = new Map<string, Node>()
  const widened = (name: string): string => `${name}:float32`
  for (const node of graph.nodes) {
    const kernel = node.inputs[1] ?? ''
    const tensor = graph.initializers.get(kernel)
    if (!LAYERS.has(node.opType) || tensor?.dtype !== 'float32') continue
    initializers.set(kernel, Tensor.of('float16', tensor.dims, Uint16Array.from(tensor.floats, toFloat16)))
    casts.set(kernel, makeNode('Cast', [kernel], [widened(kernel)], { to: dataTypeCode('float32') }))
  }
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (casts.has(name) ? widened(name) : name)),
  }))
  return { ...graph, initializers, nodes: [...casts.values(), ...nodes] }
}
