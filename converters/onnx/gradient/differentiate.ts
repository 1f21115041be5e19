import { ZooError } from '../../../manifests/error.ts'
import { GraphBuilder } from '../builder.ts'
import { Attributes, type Dim, type Graph, type Model, type Node } from '../graph.ts'
import { prune } from '../prune.ts'
import type { Provider } from '../runtime/session.ts'
import { type ActiveNode, type Activity, describeStop, findActive } from './active.ts'
import { Emitter } from './emitter.ts'
import type { Facts } from './facts.ts'
import { formulationsFor } from './formulations.ts'
import { type Override, overriding } from './overrides.ts'
import { probe } from './probe.ts'
import type { Call } from './rule.ts'
import { ruleFor } from './rules/table.ts'
import { unbroadcast } from './unbroadcast.ts'
import { unsupported } from './unsupported.ts'

export interface DifferentiateOptions {
  /** The value to differentiate; where it has several elements, their sum. */
  readonly of: string
  /** Any inputs, initialisers or inner values of a float type. */
  readonly withRespectTo: readonly string[]
  /** What is known of the model's values; by default the model is run to find out. */
  readonly facts?: Facts
  /** Where the result will run: the formulations that are fast differ. Default: cpu. */
  readonly provider?: Provider
  /** Replaces the gradients of chosen nodes. */
  readonly overrides?: readonly Override[]
  /** Names the outputs; a gradient of a gradient needs names of its own. Default: `gradientName`. */
  readonly nameOf?: (value: string) => string
}

/** The output that holds the gradient with respect to a value, unless it was named otherwise. */
export const gradientName = (value: string): string => `gradient/${value}`

/**
 * Reverse-mode differentiation: the model with, appended to its nodes and outputs, the gradients of the sum of `of`
 * with respect to each of `withRespectTo`, each in its value's shape and named by `gradientName`.
 *
 * The result is an ONNX graph of standard operators that have rules themselves, so it can be differentiated again.
 * The model must be normalised (see `normalise.ts`): opset 18 or later, functions inlined.
 *
 * @throws ZooError `unsupported-model` if an operator on the way has no rule (all of them are named), if the gradient
 *   is zero everywhere because the way passes only through steps such as Round, or if a shape needs a fixed batch size
 */
export async function differentiate(model: Model, options: DifferentiateOptions): Promise<Model> {
  const { of, withRespectTo, provider = 'cpu', overrides = [], nameOf = gradientName } = options
  const facts = options.facts ?? (await probe(model))
  const graph: Graph = {
    ...model.graph,
    inputs: [...model.graph.inputs],
    outputs: [...model.graph.outputs],
    nodes: [...model.graph.nodes],
    initializers: new Map(model.graph.initializers),
  }
  const activity = findActive(graph, of, withRespectTo, facts, overriding(overrides, ruleFor))
  if (activity.missing.length > 0) throw missingRules(activity.missing, model)
  const walk = new Walk(graph, facts, provider, activity)
  const gradients = walk.backwards(of, withRespectTo)
  const builder = new GraphBuilder(graph)
  for (const [value, gradient] of gradients) {
    const name = nameOf(value)
    builder.op('Identity', [gradient], {}, { name, outputs: [name] })
    graph.outputs.push({ name, dtype: facts.dtype(value)!, dims: dimsOf(value, graph, facts) })
  }
  return { ...model, graph: prune(graph) }
}

/** The walk back over the graph's nodes. Contributions are summed here, and here alone broadcasting is undone. */
class Walk {
  readonly #graph: Graph
  readonly #facts: Facts
  readonly #provider: Provider
  readonly #activity: Activity
  readonly #builder: GraphBuilder
  readonly #op: Emitter
  readonly #producers: ReadonlyMap<string, Node>
  /** What has arrived at each value so far. */
  readonly #contributions = new Map<string, string[]>()

  constructor(graph: Graph, facts: Facts, provider: Provider, activity: Activity) {
    this.#graph = graph
    this.#facts = facts
    this.#provider = provider
    this.#activity = activity
    this.#producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node])))
    this.#builder = new GraphBuilder(graph)
    this.#op = new Emitter(this.#builder, facts)
  }

  backwards(of: string, withRespectTo: readonly string[]): Map<string, string> {
    const seed = this.#op.within(`${of}/seed`, this.#facts.dtype(of) ?? 'float32')
    this.#contributions.set(of, [seed.filled(this.#facts.sizes(of), 1)])
    for (const active of this.#activity.nodes.toReversed()) this.#visit(active)
    return new Map(withRespectTo.map((value) => [value, this.#total(value) ?? this.#fail(value)]))
  }

  #visit({ node, index, rule }: ActiveNode): void {
    const dys = node.outputs.map((output) => (this.#activity.values.has(output) ? this.#total(output) : null))
    if (dys.every((dy) => dy === null)) return
    const call = this.#call(node, index, dys)
    if (!rule.allOutputs && dys.slice(1).some((dy) => dy !== null))
      throw unsupported(call, 'more than its first output in use')
    const gradients = rule.gradients(call)
    for (const [i, input] of node.inputs.entries()) {
      if (!this.#activity.values.has(input)) continue
      const gradient = gradients[Math.min(i, gradients.length - 1)]
      if (gradient === undefined)
        throw new ZooError('internal', `the rule of ${node.opType} forgets input ${i}`)
      if (gradient === null) continue
      const contribution = gradient()
      const arrived = rule.broadcasts
        ? unbroadcast(call.op, contribution, this.#facts.sizes(call.y), this.#facts.sizes(input))
        : contribution
      this.#contributions.set(input, [...(this.#contributions.get(input) ?? []), arrived])
    }
  }

  #call(node: Node, index: number, dys: readonly (string | null)[]): Call {
    const facts = this.#facts
    const y = node.outputs[0]!
    const op = this.#op.within(`gradient/${node.name || y}`, floatTypeOf(node, facts))
    return {
      node,
      attributes: new Attributes(node),
      op,
      x: node.inputs,
      y,
      get dy() {
        return dys[0] ?? op.filled(facts.sizes(y), 0)
      },
      dys,
      output: (which) => this.#output(index, which),
      producer: (value) => this.#producers.get(value),
      facts,
      formulations: formulationsFor(this.#provider),
    }
  }

  /** The sum of what has arrived at a value, or null if nothing has. */
  #total(value: string): string | null {
    const contributions = this.#contributions.get(value)
    if (contributions === undefined) return null
    const total = contributions.reduce((sum, next) =>
      this.#op.within(`gradient/${value}`, 'float32').add(sum, next),
    )
    this.#contributions.set(value, [total])
    return total
  }

  /** Names the forward node's output number `which`, adding it where the model left it out. */
  #output(index: number, which: number): string {
    const node = this.#graph.nodes[index]!
    const known = node.outputs[which]
    if (known) return known
    const name = this.#builder.fresh(`${node.name || node.outputs[0]}:${which}`)
    const outputs = Array.from({ length: Math.max(which + 1, node.outputs.length) }, (_, i) =>
      i === which ? name : (node.outputs[i] ?? ''),
    )
    this.#graph.nodes[index] = { ...node, outputs }
    return name
  }

  #fail(value: string): never {
    const { stops } = this.#activity
    throw new ZooError('unsupported-model', `the gradient with respect to "${value}" is zero everywhere`, {
      hint:
        stops.length > 0
          ? `it ends at ${stops.map(describeStop).join('; ')}`
          : 'the result does not depend on that value',
    })
  }
}

/** A value's shape as a graph's output declares it, with the batch axis by its own name. */
function dimsOf(value: string, graph: Graph, facts: Facts): Dim[] {
  const batch = graph.inputs.find((input) => input.name === facts.batch)?.dims?.[0] ?? null
  return facts.sizes(value).map((size) => {
    if (size === null || typeof size === 'number') return size
    return size.perImage === 1 ? batch : null
  })
}

/** The float type in which a node computes. */
const floatTypeOf = (node: Node, facts: Facts) =>
  [...node.outputs, ...node.inputs]
    .map((value) => facts.dtype(value))
    .find((dtype) => dtype?.startsWith('float')) ?? 'float32'

function missingRules(nodes: readonly Node[], model: Model): ZooError {
  const places = new Map<string, string[]>()
  for (const node of nodes) {
    const version = model.opsets.get(node.domain)
    const operator = `${node.domain === '' ? '' : `${node.domain}.`}${node.opType} (opset ${version ?? 'unknown'})`
    places.set(operator, [...(places.get(operator) ?? []), `"${node.name || node.outputs[0]}"`])
  }
  const list = [...places].map(([operator, names]) => `${operator} at ${names.join(', ')}`).join('; ')
  return new ZooError('unsupported-model', `no gradient rule for ${list}`, {
    hint: 'export the model with other operators, or treat these as the identity (--straight-through NODE)',
  })
}
