import { ZooError } from '../../../manifests/error.ts'
import { makeNode } from '../builder.ts'
import type { Graph, Model, ValueInfo } from '../graph.ts'
import { readsOf } from '../reads.ts'
import { openSession } from '../runtime/open.ts'
import type { Session, SessionOptions } from '../runtime/session.ts'
import { byteLength, type DataType, type Elements, sizeOf, Tensor } from '../tensor.ts'
import { outputType } from '../types.ts'
import type { Facts } from './facts.ts'
import type { Size, Sizes } from './sizes.ts'

export interface ProbeOptions {
  /** The batch size, where it is to be fixed although the model leaves it open. */
  readonly batch?: number
  /** Where the model runs; default: in this process. */
  readonly open?: (model: Model, options: SessionOptions) => Promise<Session>
}

/** Two batch sizes tell which axes grow with the batch. */
const BATCHES = [2, 3] as const

/**
 * Runs a model to learn the type and shape of each of its values, and what its shape arithmetic comes to, so that no
 * operator's shape inference is needed here. Weights are left out, for they decide no shape, and only shapes are
 * fetched: a large model is probed in little more memory than its largest activations take.
 *
 * @throws ZooError `unsupported-model` where the model cannot be run, or leaves more open than its batch size
 */
export async function probe(model: Model, options: ProbeOptions = {}): Promise<Facts> {
  const { open = openSession } = options
  const graph = model.graph
  const inputs = graph.inputs.filter((input) => !graph.initializers.has(input.name))
  const openBatch = inputs.find((input) => typeof input.dims?.[0] !== 'number' && input.dims?.length !== 0)
  const batches = openBatch === undefined ? [1] : options.batch === undefined ? BATCHES : [options.batch]
  const plan = planProbe(graph)
  const session = await open({ ...model, graph: probingGraph(graph, plan) }, { optimisation: 'disabled' })
  try {
    const runs: Record<string, Tensor>[] = []
    for (const batch of batches)
      runs.push(
        await session.run(Object.fromEntries(inputs.map((input) => [input.name, sample(input, batch)]))),
      )
    return factsOf(graph, plan, runs, batches, batches.length > 1 ? openBatch!.name : null)
  } catch (error) {
    throw new ZooError('unsupported-model', `the model cannot be run: ${(error as Error).message}`, {
      hint: 'onnxruntime refuses it with random images; see whether it expects another batch or image size',
      cause: error,
    })
  } finally {
    await session.release()
  }
}

interface Plan {
  readonly types: ReadonlyMap<string, DataType>
  /** Values whose shape is fetched, and values that are fetched themselves, each with the name of the output. */
  readonly shapes: ReadonlyMap<string, string>
  readonly values: ReadonlyMap<string, string>
}

function planProbe(graph: Graph): Plan {
  const types = new Map<string, DataType>()
  for (const { name, dtype } of graph.inputs) types.set(name, dtype)
  for (const [name, { dtype }] of graph.initializers) types.set(name, dtype)
  const isInitializer = (name: string): boolean => graph.initializers.has(name)
  /** Values that images or left-out weights decide; the others are shape arithmetic. */
  const varying = new Set(graph.inputs.map(({ name }) => name).filter((name) => !isInitializer(name)))
  for (const [name, tensor] of graph.initializers) if (isLarge(tensor)) varying.add(name)
  const shapes = new Map<string, string>()
  const values = new Map<string, string>()
  for (const node of graph.nodes) {
    const onlyShape = node.domain === '' && (node.opType === 'Shape' || node.opType === 'Size')
    const random =
      node.opType.startsWith('Random') || node.opType === 'Bernoulli' || node.opType === 'Multinomial'
    const varies = random || (!onlyShape && readsOf(node).some((input) => varying.has(input)))
    for (const [index, output] of node.outputs.entries()) {
      if (output === '' || isSequence(node.opType)) continue
      const dtype = outputType(node, index, (input) => types.get(input))
      if (dtype !== undefined) types.set(output, dtype)
      if (varies) varying.add(output)
      if (varies || dtype === undefined) shapes.set(output, `shape:${shapes.size}`)
      else values.set(output, `value:${values.size}`)
    }
  }
  return { types, shapes, values }
}

const isSequence = (opType: string): boolean =>
  opType === 'SplitToSequence' ||
  (opType.startsWith('Sequence') && opType !== 'SequenceAt' && opType !== 'SequenceLength')

/** Weights of more than this many bytes are left out. Shape arithmetic and position tables are smaller. */
const LARGE = 1 << 20

const isLarge = ({ dtype, dims }: Tensor): boolean => byteLength(dtype, dims) > LARGE && dtype in ZERO

/** The graph with weights left out and all shapes as outputs. */
function probingGraph(graph: Graph, { types, shapes, values }: Plan): Graph {
  const initializers = new Map(graph.initializers)
  const weights = [...initializers].filter(([, tensor]) => isLarge(tensor))
  const fillers = weights.map(([name, { dtype, dims }]) => {
    initializers.delete(name)
    initializers.set(`${name}:dims`, Tensor.int64([dims.length], dims))
    return makeNode('ConstantOfShape', [`${name}:dims`], [name], { value: zero(dtype) })
  })
  const left = new Set(weights.map(([name]) => name))
  return {
    ...graph,
    inputs: graph.inputs.filter(({ name }) => !left.has(name)),
    initializers,
    nodes: [
      ...fillers,
      ...graph.nodes,
      ...[...shapes].map(([value, output]) => makeNode('Shape', [value], [output])),
      ...[...values].map(([value, output]) => makeNode('Identity', [value], [output])),
    ],
    outputs: [
      ...[...shapes.values()].map((name): ValueInfo => ({ name, dtype: 'int64', dims: null })),
      ...[...values].map(([value, name]): ValueInfo => ({ name, dtype: types.get(value)!, dims: null })),
    ],
    valueInfo: new Map(),
  }
}

function factsOf(
  graph: Graph,
  { types, shapes, values }: Plan,
  runs: readonly Record<string, Tensor>[],
  batches: readonly number[],
  batch: string | null,
): Facts {
  const sizes = new Map<string, Sizes>()
  const constants = new Map<string, Tensor>(graph.initializers)
  for (const input of graph.inputs) {
    const initial = graph.initializers.get(input.name)
    const measured = batches.map((size) => initial?.dims ?? dimsAt(input, size))
    sizes.set(input.name, compare(measured, batches))
  }
  for (const [name, { dims }] of graph.initializers) sizes.set(name, dims)
  for (const [value, output] of shapes)
    sizes.set(
      value,
      compare(
        runs.map((run) => run[output]!.numbers),
        batches,
      ),
    )
  for (const [value, output] of values) {
    const tensors = runs.map((run) => run[output]!)
    sizes.set(
      value,
      compare(
        tensors.map((tensor) => tensor.dims),
        batches,
      ),
    )
    if (tensors.every((tensor) => sameTensor(tensor, tensors[0]!))) constants.set(value, tensors[0]!)
  }
  return {
    dtype: (value) => types.get(value),
    constant: (value) => constants.get(value),
    batch,
    sizes(value) {
      const known = sizes.get(value)
      if (known) return known
      throw new ZooError('unsupported-model', `the shape of "${value}" cannot be determined`)
    },
  }
}

/** Sizes measured at one or two batch sizes. */
function compare(measured: readonly (readonly number[])[], batches: readonly number[]): Sizes {
  const [first, second] = measured as [readonly number[], (readonly number[])?]
  if (second === undefined) return first
  if (first.length !== second.length) return first.map(() => null)
  return first.map((size, axis): Size => {
    if (size === second[axis]) return size
    const perImage = size / batches[0]!
    return perImage * batches[1]! === second[axis] ? { perImage } : null
  })
}

const sameTensor = (a: Tensor, b: Tensor): boolean =>
  a === b || (a.dims.join() === b.dims.join() && Buffer.compare(a.bytes, b.bytes) === 0)

function dimsAt({ name, dims }: ValueInfo, batch: number): number[] {
  if (dims === null)
    throw new ZooError('unsupported-model', `the shape of the input "${name}" is not given in the model`)
  return dims.map((dim, axis) => {
    if (typeof dim === 'number') return dim
    if (axis === 0) return batch
    throw new ZooError('unsupported-model', `axis ${axis} of the input "${name}" has no fixed size`, {
      hint: 'say what size of image the model takes (--size HxW)',
    })
  })
}

/** Numbers between 0 and 1 for images, zeros for labels and indices. */
function sample(input: ValueInfo, batch: number): Tensor {
  const dims = dimsAt(input, batch)
  const count = sizeOf(dims)
  if (input.dtype === 'float32')
    return Tensor.float32(
      dims,
      Float32Array.from({ length: count }, (_, i) => (i * 0.6180339887) % 1),
    )
  return Tensor.of(input.dtype, dims, ZERO[input.dtype]!(count))
}

const ZERO: Partial<Record<DataType, (count: number) => Elements>> = {
  float32: (count) => new Float32Array(count),
  float64: (count) => new Float64Array(count),
  float16: (count) => new Uint16Array(count),
  int8: (count) => new Int8Array(count),
  uint8: (count) => new Uint8Array(count),
  int16: (count) => new Int16Array(count),
  uint16: (count) => new Uint16Array(count),
  int32: (count) => new Int32Array(count),
  uint32: (count) => new Uint32Array(count),
  int64: (count) => new BigInt64Array(count),
  uint64: (count) => new BigUint64Array(count),
  bool: (count) => new Uint8Array(count),
}

const zero = (dtype: DataType): Tensor => Tensor.of(dtype, [1], ZERO[dtype]!(1))
