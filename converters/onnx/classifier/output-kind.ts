import { ZooError } from '../../../manifests/error.ts'
import { GraphBuilder } from '../builder.ts'
import type { ProbeOptions } from '../gradient/probe.ts'
import type { Resolved } from '../gradient/resolve.ts'
import type { Graph, Model, Node } from '../graph.ts'
import { openSession } from '../runtime/open.ts'
import { Tensor } from '../tensor.ts'

export type OutputKind = 'logits' | 'log-probabilities' | 'probabilities'

export interface Logits {
  readonly graph: Graph
  /** The value that holds them, in the shape of the model's output. */
  readonly value: string
  readonly kind: OutputKind
  /** The logarithm had to be taken of probabilities, for there was no final Softmax to leave out. */
  readonly logarithm: boolean
}

/** Operators that pass scores on as they are, perhaps in another shape. */
const CARRIERS = new Set(['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Cast', 'Dropout'])
/** With constant weights these make a layer, after which scores are neither probabilities nor their logarithms. */
const LAYERS = new Set(['Gemm', 'MatMul', 'Conv', 'Add'])

const REFUSED: Readonly<Record<string, string>> = {
  Sigmoid: 'its scores are independent of one another (Sigmoid): a multi-label or binary model',
  HardSigmoid: 'its scores are independent of one another (HardSigmoid): a multi-label or binary model',
  ArgMax: 'it gives only the class (ArgMax), no scores to attack',
  Hardmax: 'it gives only the class (Hardmax), no scores to attack',
  TopK: 'it gives only the best classes (TopK)',
  NonMaxSuppression: 'it is a detector (NonMaxSuppression)',
}

/** Finds what the model's output is, and from it the logits: a final Softmax is left out, else the logarithm is taken. */
export async function outputLogits(
  resolved: Resolved,
  output: string,
  wanted: OutputKind | 'auto',
  open: ProbeOptions['open'] = openSession,
): Promise<Logits> {
  const { graph } = resolved.model
  const { producer, carriers } = trace(graph, output)
  const kind = wanted === 'auto' ? await detect(resolved, producer, open) : wanted
  if (kind !== 'probabilities') return { graph, value: output, kind, logarithm: false }
  if (producer?.opType === 'Softmax' && producer.domain === '') {
    const input = producer.inputs[0]!
    if (carriers.length === 0) return { graph, value: input, kind, logarithm: false }
    const first = carriers[0]!
    const nodes = graph.nodes.map((node) =>
      node === first ? { ...node, inputs: [input, ...node.inputs.slice(1)] } : node,
    )
    return { graph: { ...graph, nodes }, value: output, kind, logarithm: false }
  }
  const extended = { ...graph, nodes: [...graph.nodes], initializers: new Map(graph.initializers) }
  const builder = new GraphBuilder(extended)
  // The smallest normal number keeps the logarithm of 0 finite.
  const positive = builder.op('Max', [output, builder.scalar(2 ** -126)])
  return { graph: extended, value: builder.op('Log', [positive]), kind, logarithm: true }
}

/** The node that computes the scores, and those behind it that only pass them on, in order. */
function trace(graph: Graph, output: string): { producer: Node | undefined; carriers: Node[] } {
  const producerOf = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node])))
  const carriers: Node[] = []
  let producer = producerOf.get(output)
  while (producer && CARRIERS.has(producer.opType)) {
    carriers.unshift(producer)
    producer = producerOf.get(producer.inputs[0]!)
  }
  return { producer, carriers }
}

async function detect(
  resolved: Resolved,
  producer: Node | undefined,
  open: NonNullable<ProbeOptions['open']>,
): Promise<OutputKind> {
  const opType = producer?.opType ?? ''
  if (opType === 'Softmax') return 'probabilities'
  if (opType === 'LogSoftmax') return 'log-probabilities'
  if (producer && isLayer(producer, resolved.model.graph)) return 'logits'
  const reason = REFUSED[opType]
  if (reason === undefined) return judge(resolved.model, open)
  // Sigmoids of z and -z, as scikit-learn writes two classes, are probabilities.
  if (opType === 'Sigmoid' && (await judge(resolved.model, open)) === 'probabilities') return 'probabilities'
  throw new ZooError('unsupported-model', `this is no classifier with one score per class: ${reason}`, {
    hint: 'if its output is logits, log-probabilities or probabilities all the same, say so (--output-kind)',
  })
}

/** Means and sums of several values are none: those of an ensemble's probabilities are probabilities again. */
const isLayer = ({ opType, inputs }: Node, { initializers }: Graph): boolean =>
  LAYERS.has(opType) && inputs.slice(0, 2).some((input) => initializers.has(input))

/** Looks at the scores of a few images. */
async function judge(model: Model, open: NonNullable<ProbeOptions['open']>): Promise<OutputKind> {
  const input = model.graph.inputs[0]!
  const dims = input.dims!.map((dim) => (typeof dim === 'number' ? dim : 2))
  const count = dims.reduce((a, b) => a * b, 1)
  const session = await open(model, {})
  try {
    const pixels = Float32Array.from({ length: count }, (_, i) => (i * 0.6180339887) % 1)
    const run = await session.run({ [input.name]: Tensor.float32(dims, pixels) })
    const scores = Object.values(run)[0]!
    const values = scores.numbers
    const classes = values.length / dims[0]!
    const sums = (of: (value: number) => number): number[] =>
      Array.from({ length: dims[0]! }, (_, i) =>
        values.slice(i * classes, (i + 1) * classes).reduce((sum, value) => sum + of(value), 0),
      )
    const areOne = (totals: readonly number[]): boolean => totals.every((sum) => Math.abs(sum - 1) < 1e-3)
    if (values.every((value) => value >= 0) && areOne(sums((value) => value))) return 'probabilities'
    if (values.every((value) => value <= 0) && areOne(sums(Math.exp))) return 'log-probabilities'
    return 'logits'
  } finally {
    await session.release()
  }
}
