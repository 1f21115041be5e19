import * as tf from '@tensorflow/tfjs'
import { Attributes, describe, type Graph, type Node } from '../../../converters/onnx/graph.ts'
import type { Tensor } from '../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../manifests/error.ts'
import { ruleName, withFoldedNorms } from './fusion.ts'
import type { Operands, Rule } from './rule.ts'
import { RULES } from './rules/table.ts'
import type { Value } from './value.ts'

export interface Step {
  readonly node: Node
  readonly rule: Rule
  readonly attributes: Attributes
  /** Values that nothing reads after this step. */
  readonly finished: readonly string[]
}

/** A graph made ready to run: one rule for each node that the wanted values need, in order. */
export interface Plan {
  readonly steps: readonly Step[]
  readonly wanted: readonly string[]
  /** Initialisers that the steps read. */
  readonly constants: ReadonlyMap<string, Tensor>
}

/**
 * @param tapped inner values that must exist by themselves, as something will be put in their place
 * @throws ZooError `unsupported-model` that names every node without a rule
 */
export function planOf(graph: Graph, wanted: readonly string[], tapped: readonly string[] = []): Plan {
  const needed = new Set(wanted)
  const needing: Node[] = []
  for (const node of graph.nodes.toReversed())
    if (node.outputs.some((output) => needed.has(output))) {
      needing.push(node)
      for (const name of node.inputs) needed.add(name)
    }
  const nodes = withFoldedNorms(needing.reverse(), new Set([...wanted, ...tapped]))
  const missing = nodes.filter((node) => !Object.hasOwn(RULES, ruleName(node)))
  if (missing.length > 0)
    throw new ZooError(
      'unsupported-model',
      `the tfjs engine has no rule for ${missing.map(describe).slice(0, 8).join(', ')}`,
      { hint: `it covers ${Object.keys(RULES).sort().join(', ')}` },
    )
  const given = [...graph.inputs.map(({ name }) => name), ...graph.initializers.keys()]
  const constants = [...graph.initializers].filter(([name]) => needed.has(name))
  return { steps: stepsOf(nodes, [...wanted, ...given]), wanted, constants: new Map(constants) }
}

/** Steps for nodes in order; values that are not to be kept go after their last use. */
export function stepsOf(nodes: readonly Node[], kept: readonly string[]): Step[] {
  // Read backwards, a value's first mention is its last use.
  const seen = new Set(kept)
  const lastFirst = nodes.toReversed().map((node) => {
    const mentioned = new Set([...node.inputs, ...node.outputs])
    const finished = [...mentioned].filter((name) => name !== '' && !seen.has(name))
    for (const name of finished) seen.add(name)
    return { node, rule: RULES[ruleName(node)]!, attributes: new Attributes(node), finished }
  })
  return lastFirst.reverse()
}

/**
 * Runs a plan from the given values (graph inputs and initialisers) and returns those wanted.
 * Inner values go after their last use; what differentiation needs of them, tfjs keeps.
 *
 * @param replace for tapping an inner value: what stands in for the value of this name, once it is computed
 */
export function interpret(
  plan: Plan,
  given: ReadonlyMap<string, Value>,
  replace: (name: string, value: Value) => Value = (_, value) => value,
): Map<string, Value> {
  const values = new Map(given)
  for (const step of plan.steps) {
    const results = run(step, plan, values)
    step.node.outputs.forEach((name, i) => {
      const value = results[i]
      if (name !== '' && value !== undefined) values.set(name, replace(name, value))
    })
    for (const name of step.finished) {
      values.get(name)?.tensor.dispose()
      values.delete(name)
    }
  }
  return new Map(plan.wanted.map((name) => [name, values.get(name)!]))
}

function run(step: Step, plan: Plan, values: ReadonlyMap<string, Value>): readonly (Value | undefined)[] {
  const { node, attributes } = step
  const optional = (index: number): Value | undefined => values.get(node.inputs[index] ?? '')
  const operands: Operands = {
    node,
    attributes,
    count: node.inputs.length,
    optional,
    input(index) {
      const value = optional(index)
      if (value) return value
      throw new ZooError('invalid-model', `${describe(node)} lacks its input ${index}`)
    },
    integers(index) {
      const name = node.inputs[index] ?? ''
      return (
        plan.constants.get(name)?.numbers ??
        (values.has(name) ? Array.from(values.get(name)!.tensor.dataSync()) : undefined)
      )
    },
    wanted: (output) => (node.outputs[output] ?? '') !== '',
  }
  let results: readonly (Value | undefined)[] = []
  // Temporaries of the rule go at once; what it returns belongs to the caller's scope.
  tf.tidy(() => {
    const result = step.rule(operands)
    results = Array.isArray(result) ? result : [result as Value]
    return results.map((value) => value?.tensor).filter((tensor) => tensor !== undefined)
  })
  return results
}
