import { ZooError } from '../../manifests/error.ts'
import {
  Attributes,
  BUILT_IR_VERSION,
  type FunctionDefinition,
  type Graph,
  type Model,
  type Node,
} from './graph.ts'
import { inlineFunctions } from './inline.ts'
import { Names, withUniqueNames } from './names.ts'
import { inOrder } from './order.ts'
import { prune } from './prune.ts'
import { mapSubgraphs, subgraphsOf } from './subgraphs.ts'
import { Tensor } from './tensor.ts'
import { upgradedOpset, upgradeNodes } from './upgrade/upgrade.ts'

/**
 * Brings a model that anyone may have written into the one form that the rest of the code reads:
 *
 * - operators in the forms of opset 18 (newer models keep their opset; see `upgradeNodes`),
 * - model-local functions inlined,
 * - constants as initialisers, and no initialiser among the inputs,
 * - value and node names unique in the whole model, subgraphs included,
 * - nodes in topological order, none that no output depends on.
 *
 * The model computes what it computed before. The argument stays as it was.
 *
 * @throws ZooError `invalid-model` where names or the order of computation contradict one another;
 *   `unsupported-model` for opsets below 6 and the few old forms that have no later equivalent
 */
export function normalise(model: Model): Model {
  const names = Names.of(model)
  const fresh = (hint: string): string => names.fresh(hint)
  const opset = model.opsets.get('') ?? upgradedOpset(0)
  const functions = model.functions.map((f) => upgradedFunction(f, opset, fresh))
  const upgraded = { ...model.graph, nodes: upgradeNodes(model.graph, opset, fresh) }
  const inlined = inlineFunctions(upgraded, functions, names)
  const graph = prune(inOrder(withUniqueNames(withInitializers(withoutDefaults(inlined)))))
  return {
    ...model,
    graph,
    functions: [],
    irVersion: Math.max(model.irVersion, BUILT_IR_VERSION),
    opsets: usedOpsets(commonOpsets(model, opset), graph),
  }
}

/** A function may be of another opset than the model. */
function upgradedFunction(
  definition: FunctionDefinition,
  opset: number,
  fresh: (hint: string) => string,
): FunctionDefinition {
  const body: Graph = {
    name: definition.name,
    inputs: [],
    outputs: [],
    nodes: [...definition.nodes],
    initializers: new Map(),
    valueInfo: new Map(),
  }
  return { ...definition, nodes: upgradeNodes(body, definition.opsets.get('') ?? opset, fresh) }
}

/** The newest version of each domain that the model and its functions ask for: what is upgraded stays valid in it. */
function commonOpsets(model: Model, opset: number): Map<string, number> {
  const opsets = new Map([['', upgradedOpset(opset)]])
  const local = new Set(model.functions.map((f) => f.domain))
  for (const imports of [model.opsets, ...model.functions.map((f) => f.opsets)])
    for (const [domain, version] of imports)
      if (!local.has(domain) || domain === '') opsets.set(domain, Math.max(version, opsets.get(domain) ?? 0))
  return opsets
}

/** Without domains of which the graph has no operator any more: a runtime that does not know them need not. */
export function usedOpsets(opsets: ReadonlyMap<string, number>, graph: Graph): Map<string, number> {
  const used = new Set([''])
  const visit = ({ nodes }: Graph): void => {
    for (const node of nodes) {
      used.add(node.domain)
      for (const inner of subgraphsOf(node)) visit(inner)
    }
  }
  visit(graph)
  return new Map([...opsets].filter(([domain]) => used.has(domain)))
}

/** Before IR version 4 every initialiser was also an input, as its default; nobody feeds weights. */
function withoutDefaults(graph: Graph): Graph {
  return { ...graph, inputs: graph.inputs.filter(({ name }) => !graph.initializers.has(name)) }
}

/** Turns Constant nodes into initialisers. A subgraph's own result stays a node, as onnxruntime wants it. */
function withInitializers(graph: Graph, kept: ReadonlySet<string> = new Set()): Graph {
  const initializers = new Map(graph.initializers)
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const value = node.opType === 'Constant' && node.domain === '' ? constantOf(node) : undefined
    if (value && !kept.has(node.outputs[0]!)) initializers.set(node.outputs[0]!, value)
    else
      nodes.push(
        mapSubgraphs(node, (inner) =>
          withInitializers(inner, new Set(inner.outputs.map(({ name }) => name))),
        ),
      )
  }
  return { ...graph, nodes, initializers }
}

function constantOf(node: Node): Tensor {
  const attributes = new Attributes(node)
  for (const [name, attribute] of node.attributes) {
    switch (name) {
      case 'value':
      case 'sparse_value':
        return attributes.tensor(name)!
      case 'value_float':
        return Tensor.float32([], [attributes.float(name, 0)])
      case 'value_floats': {
        const values = attributes.floats(name)!
        return Tensor.float32([values.length], values)
      }
      case 'value_int':
        if (attribute.type === 'int') return Tensor.int64([], [attribute.value])
        break
      case 'value_ints':
        if (attribute.type === 'ints') return Tensor.int64([attribute.value.length], attribute.value)
        break
      case 'value_string':
        return new Tensor('string', [], new Uint8Array(), [attributes.string(name, '')])
      case 'value_strings':
        if (attribute.type === 'strings')
          return new Tensor('string', [attribute.value.length], new Uint8Array(), attribute.value)
    }
  }
  throw new ZooError('invalid-model', `Constant "${node.outputs[0]}" has no value`)
}
