import * as tf from '@tensorflow/tfjs'
import { withGradient } from './custom-gradient.ts'
import { interpret, type Plan, stepsOf } from './interpreter.ts'
import type { Value } from './value.ts'

/** A stretch of a plan that one value leads into and one value leads out of. */
interface Segment {
  readonly plan: Plan
  readonly input: string
  readonly output: string
  /** Initialisers that its steps read. */
  readonly reads: ReadonlySet<string>
}

interface Segments {
  readonly segments: readonly Segment[]
  /** What is left after the last of them. */
  readonly rest: Plan
}

const known = new WeakMap<Plan, Segments>()

/**
 * Runs a plan with gradient checkpointing (Chen et al. 2016): inside a segment nothing is kept for the backward pass,
 * which computes the segment once more. With about as many segments as each has cuts in it, memory grows with the square
 * root of the depth, for one more forward pass. Outputs and gradients are the same.
 *
 * @param sources what will be differentiated with respect to: the weights among these become inputs of their segments
 */
export function interpretRecomputing(
  plan: Plan,
  given: ReadonlyMap<string, Value>,
  sources: ReadonlySet<string>,
): Map<string, Value> {
  const cut = known.get(plan) ?? segmentsOf(plan, new Set(given.keys()))
  known.set(plan, cut)
  const values = new Map(given)
  for (const segment of cut.segments) {
    for (const [name, value] of runSegment(segment, values, given, sources)) values.set(name, value)
    if (!given.has(segment.input)) values.get(segment.input)?.tensor.dispose()
  }
  const rest = interpret(cut.rest, values)
  return new Map(plan.wanted.map((name) => [name, rest.get(name) ?? values.get(name)!]))
}

function runSegment(
  { plan, input, output, reads }: Segment,
  values: ReadonlyMap<string, Value>,
  given: ReadonlyMap<string, Value>,
  sources: ReadonlySet<string>,
): Map<string, Value> {
  const entrances = [...sources].filter((name) => reads.has(name))
  // An image that nobody wants the gradient of is no entrance: its gradient would be computed for nothing.
  if (!given.has(input)) entrances.push(input)
  const run = (tensors: readonly tf.Tensor[]): Map<string, Value> => {
    const inside = new Map(values)
    for (const [i, name] of entrances.entries())
      inside.set(name, { tensor: tensors[i]!, layout: values.get(name)!.layout })
    return interpret(plan, inside)
  }
  const others = new Map<string, Value>()
  let layout: Value['layout'] = 'onnx'
  const tensor = withGradient(
    entrances.map((name) => values.get(name)!.tensor),
    (...tensors) => {
      const results = run(tensors)
      for (const [name, value] of results)
        if (name !== output) others.set(name, { ...value, tensor: tf.keep(value.tensor) })
      layout = results.get(output)!.layout
      return {
        value: results.get(output)!.tensor,
        saved: tensors,
        gradient: (dy, saved) =>
          keepingTape(() => tf.grads((...again) => run(again).get(output)!.tensor)([...saved], dy)),
      }
    },
  )
  // Statistics leave the scope that they were made in, and belong to the caller's.
  for (const [name, value] of others) {
    others.set(name, { ...value, tensor: tf.clone(value.tensor) })
    value.tensor.dispose()
  }
  return others.set(output, { tensor, layout })
}

/** tfjs 4.22 loses the outer gradient's tape when a gradient is taken inside a gradient function. */
function keepingTape<T>(job: () => T): T {
  const { state } = tf.engine()
  const tape = state.activeTape
  try {
    return job()
  } finally {
    state.activeTape = tape
  }
}

/** Cuts a plan where a single value is alive, into about as many segments as the square root of the places to cut. */
function segmentsOf(plan: Plan, given: ReadonlySet<string>): Segments {
  const cuts = placesToCut(plan, given)
  const length = Math.max(1, Math.round(Math.sqrt(cuts.length)))
  const chosen = cuts.filter((_, i) => (i + 1) % length === 0)
  const segments: Segment[] = []
  let begin = 0
  let input = [...given].find((name) => !plan.constants.has(name) && reads(plan, 0, 1).has(name)) ?? ''
  for (const { after, value } of chosen) {
    if (input === '') break
    const nodes = plan.steps.slice(begin, after + 1).map(({ node }) => node)
    const made = new Set(nodes.flatMap((node) => node.outputs))
    const wanted = [value, ...plan.wanted.filter((name) => made.has(name) && name !== value)]
    segments.push({
      plan: { ...plan, steps: stepsOf(nodes, [...wanted, ...given, input]), wanted },
      input,
      output: value,
      reads: reads(plan, begin, after + 1),
    })
    begin = after + 1
    input = value
  }
  const nodes = plan.steps.slice(begin).map(({ node }) => node)
  const made = new Set(nodes.flatMap((node) => node.outputs))
  const wanted = plan.wanted.filter((name) => made.has(name))
  return { segments, rest: { ...plan, steps: stepsOf(nodes, [...wanted, ...given, input]), wanted } }
}

const reads = ({ steps }: Plan, begin: number, end: number): Set<string> =>
  new Set(steps.slice(begin, end).flatMap(({ node }) => node.inputs))

/** Steps after which one inner value, and no other, is read later. */
function placesToCut(
  { steps, wanted }: Plan,
  given: ReadonlySet<string>,
): { after: number; value: string }[] {
  const lastRead = new Map<string, number>()
  for (const [i, { node }] of steps.entries()) for (const name of node.inputs) lastRead.set(name, i)
  const alive = new Set<string>()
  const places: { after: number; value: string }[] = []
  for (const [i, { node }] of steps.entries()) {
    for (const name of node.outputs) if (!given.has(name) && (lastRead.get(name) ?? -1) > i) alive.add(name)
    for (const name of alive) if (lastRead.get(name)! <= i) alive.delete(name)
    const [value] = alive
    if (alive.size === 1 && !wanted.includes(value!)) places.push({ after: i, value: value! })
  }
  return places
}
