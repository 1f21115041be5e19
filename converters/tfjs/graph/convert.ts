import { ZooError } from '../../../manifests/error.ts'
import {
  chosenOutputs,
  type DeclaredInput,
  declareInput,
  type InterfaceOptions,
  type Lowered,
} from '../interface.ts'
import type { Lowering } from '../lowering/lowering.ts'
import type { Signature } from '../manifest.ts'
import type { Problems } from '../problems.ts'
import type { TfjsModel } from '../read.ts'
import { type GraphNode, type NodeOutput, parseGraph, parseOutput } from './graphdef.ts'
import { inOrder, lowerGraph } from './lower.ts'

/** Writes a graph model. Inputs are called after their placeholders, outputs as the signature calls them. */
export function convertGraph(
  { json, weights }: TfjsModel,
  l: Lowering,
  options: InterfaceOptions,
  problems: Problems,
): Lowered {
  const nodes = parseGraph(json.modelTopology)
  const signature = json.signature ?? json.userDefinedMetadata?.signature ?? {}
  const kept = chosenOutputs(outputsOf(nodes, signature), options.outputs)
  const order = inOrder(
    nodes,
    kept.map(({ source }) => source),
  )
  const inputs = order
    .filter(({ op }) => op === 'Placeholder')
    .map((node) => declareInput(l, declared(node), options))
  const given = new Map(inputs.map((input) => [input.name, input]))
  const resultOf = lowerGraph(l, order, given, weights.tensors, problems)
  const outputs = kept.map(({ name, source }) => {
    const value = resultOf(source)
    return value && { name, value, original: `${source.node}:${source.output}` }
  })
  return { inputs, outputs }
}

interface GraphOutput {
  readonly name: string
  readonly source: NodeOutput
}

/** What the signature names, or else every node that no other reads, as tfjs does. */
function outputsOf(nodes: ReadonlyMap<string, GraphNode>, { outputs = {} }: Signature): GraphOutput[] {
  const signed = Object.entries(outputs).map(([key, { name }]) => ({
    name: key.replace(/:0$/, ''),
    source: parseOutput(name),
  }))
  if (signed.length > 0) return signed
  const read = new Set([...nodes.values()].flatMap(({ inputs }) => inputs.map(({ node }) => node)))
  return [...nodes.values()]
    .filter(({ name, op }) => !read.has(name) && op !== 'Const' && op !== 'NoOp')
    .map(({ name }) => ({ name, source: { node: name, output: 0 } }))
}

function declared({ name, attributes }: GraphNode): DeclaredInput {
  const shape = attributes.shape('shape')
  if (shape === undefined || shape.length === 0)
    throw new ZooError('unsupported-model', `input ${name} doesn't say what shape it has`)
  return {
    name,
    dtype: attributes.dtype('dtype', 'float32'),
    dims: shape.map((dim) => (dim < 0 ? null : dim)),
  }
}
