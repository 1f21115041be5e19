import { type AttributeValues, GraphBuilder } from '../../../../converters/onnx/builder.ts'
import { differentiate, gradientName } from '../../../../converters/onnx/gradient/differentiate.ts'
import type { Facts } from '../../../../converters/onnx/gradient/facts.ts'
import { probe } from '../../../../converters/onnx/gradient/probe.ts'
import { product } from '../../../../converters/onnx/gradient/sizes.ts'
import { type Dim, emptyGraph, type Model, modelOf } from '../../../../converters/onnx/graph.ts'
import { openSession } from '../../../../converters/onnx/runtime/open.ts'
import type { Provider, Session } from '../../../../converters/onnx/runtime/session.ts'
import { isFloat, sizeOf, Tensor } from '../../../../converters/onnx/tensor.ts'
import { normals } from '../../../../converters/perturb/random.ts'
import { ZooError } from '../../../../manifests/error.ts'

/** A float input, with respect to which the operator is differentiated. */
export interface Variable {
  readonly dims: readonly number[]
  readonly values: Float32Array
  /** Leaves axis 0 open in the model, as a batch axis is. */
  readonly batched?: boolean
}

export interface RuleCase {
  readonly op: string
  /** Tensors are constants of the graph; null is an absent optional input. */
  readonly inputs: readonly (Variable | Tensor | null)[]
  readonly attributes?: AttributeValues
  readonly outputs?: number
  readonly opset?: number
  /** Whether gradients of gradients are checked as well; default true. */
  readonly second?: boolean
  /** Largest error relative to the slopes; float32 allows the default. */
  readonly tolerance?: number
  /** Distance of the finite differences. */
  readonly step?: number
}

const TOLERANCE = 5e-3
const STEP = 1e-2
const DIRECTIONS = 3

/**
 * Checks an operator's gradients, with respect to each variable and in the formulations of each provider, against
 * finite differences of what onnxruntime computes, along random directions; then the same of the gradients themselves.
 *
 * @throws Error that names the input that disagrees, and by how much
 */
export async function checkRule(rule: RuleCase): Promise<void> {
  await checkModel(modelOfCase(rule), { ...rule, provider: 'cpu' })
  await checkModel(modelOfCase(rule), { ...rule, provider: 'cuda', second: false })
}

function modelOfCase(rule: RuleCase): { model: Model; variables: Map<string, Variable> } {
  const graph = emptyGraph(rule.op)
  const variables = new Map<string, Variable>()
  const inputs = rule.inputs.map((input, i) => {
    if (input === null) return ''
    const name = `x${i}`
    if (input instanceof Tensor) graph.initializers.set(name, input)
    else {
      const dims: Dim[] = input.dims.map((dim, axis) => (input.batched && axis === 0 ? 'N' : dim))
      graph.inputs.push({ name, dtype: 'float32', dims })
      variables.set(name, input)
    }
    return name
  })
  const outputs = Array.from({ length: rule.outputs ?? 1 }, (_, i) => `y${i}`)
  new GraphBuilder(graph).ops(rule.op, inputs, rule.attributes, { name: rule.op, outputs })
  const model = modelOf(graph)
  if (rule.opset) model.opsets.set('', rule.opset)
  return { model, variables }
}

export interface ModelCase {
  readonly model: Model
  readonly variables: ReadonlyMap<string, Variable>
}

export interface CheckOptions extends Pick<RuleCase, 'second' | 'tolerance' | 'step'> {
  readonly provider?: Provider
}

/** The same check for a whole model: all float values that its nodes compute last are differentiated. */
export async function checkModel({ model, variables }: ModelCase, options: CheckOptions = {}): Promise<void> {
  const facts = await probe(model)
  const read = new Set(model.graph.nodes.flatMap((node) => node.inputs))
  const values = model.graph.nodes
    .flatMap((node) => node.outputs)
    .filter((name) => name !== '' && !read.has(name) && isFloat(facts.dtype(name) ?? 'int64'))
  const feeds = new Map(
    [...variables].map(([name, { dims, values }]) => [name, Tensor.float32(dims, values)]),
  )
  const first = weighted(model, { values, facts, feeds, order: 1 })
  const gradients = await level(first, variables, options)
  if (options.second === false || gradients === undefined) return
  const outputs = [...variables.keys()].map(gradientName)
  const facts2 = await probe(gradients)
  const second = weighted(gradients, { values: outputs, facts: facts2, feeds: first.feeds, order: 2 })
  await level(second, variables, options)
}

interface Weighted {
  /** Gives the values; and the loss, which is their sum weighted with random numbers. */
  readonly model: Model
  readonly values: ReadonlyMap<string, Float32Array>
  readonly loss: string
  readonly order: number
  readonly feeds: ReadonlyMap<string, Tensor>
}

interface Weighing {
  readonly values: readonly string[]
  readonly facts: Facts
  readonly feeds: ReadonlyMap<string, Tensor>
  readonly order: number
}

function weighted(model: Model, { values, facts, feeds, order }: Weighing): Weighted {
  const batch = batchOf(model, feeds)
  const graph = {
    ...model.graph,
    nodes: [...model.graph.nodes],
    initializers: new Map(model.graph.initializers),
  }
  graph.inputs = [...graph.inputs]
  graph.outputs = values.map((name) => ({ name, dtype: 'float32', dims: null }))
  const builder = new GraphBuilder(graph)
  const allFeeds = new Map(feeds)
  const weights = new Map<string, Float32Array>()
  const terms = values.map((value, i) => {
    const total = product(facts.sizes(value))!
    // One row for each image, where the value grows with the batch.
    const [dims, open]: [number[], Dim[]] =
      typeof total === 'number'
        ? [[total], [total]]
        : [
            [batch, total.perImage],
            ['N', total.perImage],
          ]
    const name = `weight/${order}/${i}`
    const numbers = normals([order, i], sizeOf(dims))
    weights.set(value, numbers)
    allFeeds.set(name, Tensor.float32(dims, numbers))
    graph.inputs.push({ name, dtype: 'float32', dims: open })
    const shaped = builder.op('Reshape', [name, builder.op('Shape', [value])], { allowzero: 1 })
    return builder.op('ReduceSum', [builder.op('Mul', [value, shaped])], { keepdims: 0 })
  })
  const loss = builder.op('Sum', terms)
  return { model: { ...model, graph }, values: weights, loss, order, feeds: allFeeds }
}

const batchOf = ({ graph }: Model, feeds: ReadonlyMap<string, Tensor>): number => {
  const open = graph.inputs.find(({ dims }) => dims?.[0] === 'N')
  return open ? feeds.get(open.name)!.dims[0]! : 1
}

/** Compares the gradients of one loss with differences of its values; undefined if all of them are zero. */
async function level(
  { model, values, loss, feeds, order }: Weighted,
  variables: ReadonlyMap<string, Variable>,
  options: CheckOptions,
): Promise<Model | undefined> {
  const withRespectTo = [...variables.keys()]
  const nameOf = (value: string): string => (order === 1 ? gradientName(value) : `second/${value}`)
  const whole = await differentiated(model, loss, withRespectTo, options, nameOf)
  const separate = whole
    ? withRespectTo.map(() => whole)
    : await Promise.all(withRespectTo.map((name) => differentiated(model, loss, [name], options, nameOf)))
  const forward = await openSession(model)
  const scale = Math.sqrt(
    [...values.values()].flatMap((w) => Array.from(w)).reduce((sum, w) => sum + w * w, 0),
  )
  try {
    for (const [i, name] of withRespectTo.entries()) {
      const gradient = separate[i] && (await gradientAt(separate[i], name, nameOf, feeds))
      const { dims } = variables.get(name)!
      if (gradient && gradient.dims.join() !== dims.join())
        throw new Error(`the gradient of ${name} has the shape [${gradient.dims}], not [${dims}]`)
      const pairs = []
      for (let d = 0; d < DIRECTIONS; d++) {
        const v = normals([77, i, d], sizeOf(dims))
        const measured = await slope({ forward, values, feeds, name, v, step: options.step ?? STEP })
        pairs.push({ measured, computed: gradient ? dot(gradient.floats, v) : 0 })
      }
      const size = Math.sqrt(pairs.reduce((sum, { measured }) => sum + measured ** 2, 0) / DIRECTIONS)
      const tolerance = (options.tolerance ?? TOLERANCE) * (size + 0.01 * scale)
      for (const { measured, computed } of pairs)
        if (!(Math.abs(measured - computed) <= tolerance))
          throw new Error(
            `${order === 1 ? 'gradient' : 'second gradient'} (${options.provider ?? 'cpu'}) of ${name}: computed ${computed}, measured ${measured}; all: ${JSON.stringify(pairs)}`,
          )
    }
  } finally {
    await forward.release()
  }
  return whole
}

async function differentiated(
  model: Model,
  of: string,
  withRespectTo: readonly string[],
  { provider = 'cpu' }: CheckOptions,
  nameOf: (value: string) => string,
): Promise<Model | undefined> {
  try {
    return await differentiate(model, { of, withRespectTo, provider, nameOf })
  } catch (error) {
    if (error instanceof ZooError && error.message.endsWith('is zero everywhere')) return undefined
    throw error
  }
}

async function gradientAt(
  model: Model,
  name: string,
  nameOf: (value: string) => string,
  feeds: ReadonlyMap<string, Tensor>,
): Promise<Tensor> {
  const session = await openSession(model)
  try {
    return (await session.run(Object.fromEntries(feeds)))[nameOf(name)]!
  } finally {
    await session.release()
  }
}

interface Probe {
  readonly forward: Session
  readonly values: ReadonlyMap<string, Float32Array>
  readonly feeds: ReadonlyMap<string, Tensor>
  readonly name: string
  readonly v: Float32Array
  readonly step: number
}

/** Central differences at two distances, extrapolated to none (Richardson). */
async function slope(probing: Probe): Promise<number> {
  const far = await centralDifference(probing)
  const near = await centralDifference({ ...probing, step: probing.step / 2 })
  return (4 * near - far) / 3
}

async function centralDifference({ forward, values, feeds, name, v, step }: Probe): Promise<number> {
  const { dims, floats } = feeds.get(name)!
  const at = async (distance: number): Promise<Record<string, Tensor>> => {
    const moved = Tensor.float32(
      dims,
      floats.map((value, i) => value + distance * v[i]!),
    )
    return forward.run(Object.fromEntries(new Map(feeds).set(name, moved)))
  }
  const [ahead, behind] = [await at(step), await at(-step)]
  let difference = 0
  for (const [value, weights] of values) {
    const [a, b] = [ahead[value]!.floats, behind[value]!.floats]
    for (let i = 0; i < weights.length; i++) difference += weights[i]! * (a[i]! - b[i]!)
  }
  return difference / (2 * step)
}

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0)
