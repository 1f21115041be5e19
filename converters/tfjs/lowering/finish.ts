import type { Graph } from '../../onnx/graph.ts'
import { prune } from '../../onnx/prune.ts'
import { renameValue } from '../../onnx/rename.ts'
import type { Lowering } from './lowering.ts'
import { type Layout, storedDims, type Value } from './value.ts'

export interface Output {
  readonly name: string
  readonly value: Value
  /** What tfjs finds it by: `node:0`, or its place among the outputs of a layers model. */
  readonly original: string | number
}

export interface Finished {
  readonly graph: Graph
  /** Under the names that they have in the graph. */
  readonly outputs: readonly Output[]
}

/**
 * Declares the graph's outputs under the names that the model gives them, as far as no input has the same, and drops
 * whatever they don't need. `imageLayout` is how values with four axes leave.
 */
export function finish(l: Lowering, outputs: readonly Output[], imageLayout: Layout): Finished {
  const { graph } = l.builder
  const renamings: [string, string][] = []
  for (const { name, value } of outputs) {
    const layout = value.dims.length === 4 ? imageLayout : 'as-is'
    l.scope = name
    let source = l.name(value, layout)
    const produced = graph.nodes.some((node) => node.outputs.includes(source))
    // An output is one node's own result: not an input, a weight, or what is another output already.
    if (!produced || renamings.some(([from]) => from === source)) source = l.op('Identity', [source])
    renamings.push([source, l.builder.fresh(name)])
    const dims = storedDims(value.dims, layout).map((dim) =>
      typeof dim === 'number' ? dim : dim.perImage === 1 ? 'N' : null,
    )
    graph.outputs.push({ name: source, dtype: value.dtype, dims })
  }
  return {
    graph: prune(renamings.reduce((result, [from, to]) => renameValue(result, from, to), graph)),
    outputs: outputs.map((output, i) => ({ ...output, name: renamings[i]![1] })),
  }
}
