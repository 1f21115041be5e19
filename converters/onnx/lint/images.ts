import type { InputDescription } from '../../../manifests/schema/input.ts'
import { Attributes, type Graph, type Node, type ValueInfo } from '../graph.ts'
import type { Tensor } from '../tensor.ts'

/** A guess, with what it rests on. */
export interface Guess<T> {
  readonly value: T
  readonly because: string
}

/** What the graph itself does to its images before anything else: y = scale * x + shift, per channel or for all. */
export interface OwnNormalisation {
  readonly scale: readonly number[]
  readonly shift: readonly number[]
  readonly nodes: readonly Node[]
}

/** How the model seems to want its images, from the graph alone. */
export interface ImageGuess {
  readonly layout: Guess<InputDescription['layout']> | undefined
  readonly channels: Guess<InputDescription['channels']> | undefined
  readonly size: Guess<readonly [number, number]> | undefined
  /** undefined where nothing in the file tells: most models are normalised outside of it. */
  readonly range: Guess<InputDescription['range']> | undefined
  readonly ownNormalisation: OwnNormalisation | undefined
}

export function guessImages(graph: Graph, input: ValueInfo): ImageGuess {
  const start = followInput(graph, input.name)
  const layout = guessLayout(input, start)
  const shape = layout && guessShape(input, layout.value)
  const channels = shape?.channels
  return {
    layout,
    channels:
      channels === undefined
        ? undefined
        : {
            value: channels === 1 ? 'grey' : order(start.normalisation),
            because: `it takes ${channels} channel${channels === 1 ? '' : 's'}`,
          },
    size: shape?.size && { value: shape.size, because: "the input's shape" },
    range: guessRange(input, start),
    ownNormalisation: start.normalisation,
  }
}

interface Start {
  readonly normalisation: OwnNormalisation | undefined
  readonly perm: readonly number[] | undefined
  /** The first node that does more than rearranging, scaling or shifting. */
  readonly first: Node | undefined
  readonly initializers: ReadonlyMap<string, Tensor>
}

/** Walks from the input through rearrangements and constant arithmetic. */
function followInput(graph: Graph, input: string): Start {
  const nodes: Node[] = []
  let scale: number[] = [1]
  let shift: number[] = [0]
  let perm: readonly number[] | undefined
  let value = input
  let first: Node | undefined
  for (;;) {
    const readers = graph.nodes.filter((node) => node.inputs.includes(value))
    const [next] = readers
    if (readers.length !== 1 || !next) break
    const step = arithmetic(next, value, graph.initializers)
    if (step) {
      scale = zip(scale, step.scale, (a, b) => a * b)
      shift = zip(
        zip(shift, step.scale, (a, b) => a * b),
        step.shift,
        (a, b) => a + b,
      )
      nodes.push(next)
    } else if (next.opType === 'Transpose') perm ??= new Attributes(next).ints('perm')
    else if (!['Cast', 'Identity', 'Reshape', 'Flatten', 'Unsqueeze', 'Squeeze'].includes(next.opType)) {
      first = next
      break
    }
    value = next.outputs[0]!
  }
  const plain = scale.every((s) => s === 1) && shift.every((s) => s === 0)
  return {
    normalisation: plain ? undefined : { scale, shift, nodes },
    perm,
    first,
    initializers: graph.initializers,
  }
}

function arithmetic(
  node: Node,
  x: string,
  constants: ReadonlyMap<string, Tensor>,
): { scale: number[]; shift: number[] } | undefined {
  const first = node.inputs[0] === x
  const constant = constants.get(node.inputs[first ? 1 : 0] ?? '')
  if (!constant?.dtype.startsWith('float') || constant.size > 4) return undefined
  const values = constant.numbers
  switch (node.opType) {
    case 'Add':
      return { scale: [1], shift: values }
    case 'Sub':
      return first ? { scale: [1], shift: values.map((value) => -value) } : { scale: [-1], shift: values }
    case 'Mul':
      return { scale: values, shift: [0] }
    case 'Div':
      return first ? { scale: values.map((value) => 1 / value), shift: [0] } : undefined
    default:
      return undefined
  }
}

/** Element by element, where one of the two may be a single number for all. */
const zip = (
  a: readonly number[],
  b: readonly number[],
  combine: (x: number, y: number) => number,
): number[] =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, i) => combine(a[i % a.length]!, b[i % b.length]!))

const isChannels = (dim: unknown): boolean => dim === 1 || dim === 3

function guessLayout({ dims }: ValueInfo, { perm, first, initializers }: Start): ImageGuess['layout'] {
  if (dims === null) return undefined
  if (dims.slice(2).every((dim) => dim === 1))
    return { value: 'flat', because: 'the input is a row of numbers' }
  if (`${perm}` === '0,3,1,2')
    return { value: 'nhwc', because: 'the graph begins by moving the last axis forward' }
  const [channelsFirst, channelsLast] = [isChannels(dims.at(-3)), isChannels(dims.at(-1))]
  if (channelsFirst && !channelsLast)
    return { value: 'nchw', because: "the input's second axis has the channels" }
  if (channelsLast && !channelsFirst)
    return { value: 'nhwc', because: "the input's last axis has the channels" }
  const kernel = first?.opType === 'Conv' && !perm ? initializers.get(first.inputs[1]!) : undefined
  if (kernel && kernel.dims.length === 4)
    return { value: 'nchw', because: 'the graph begins with a convolution' }
  return channelsFirst ? { value: 'nchw', because: 'no sign of another' } : undefined
}

function guessShape(
  { dims }: ValueInfo,
  layout: InputDescription['layout'],
): { channels: number; size: readonly [number, number] | undefined } | undefined {
  if (layout === 'flat') {
    const length = dims![1]
    for (const channels of [1, 3]) {
      const side = Math.sqrt(Number(length) / channels)
      if (Number.isInteger(side)) return { channels, size: [side, side] }
    }
    return undefined
  }
  const [channels, height, width] =
    layout === 'nchw' ? dims!.slice(-3) : [dims!.at(-1), dims!.at(-3), dims!.at(-2)]
  if (typeof channels !== 'number') return undefined
  const sized = typeof height === 'number' && typeof width === 'number'
  return { channels, size: sized ? [height, width] : undefined }
}

/** Caffe's means (103.9, 116.8, 123.7) rise from blue to red. */
function order(normalisation: OwnNormalisation | undefined): InputDescription['channels'] {
  const means = normalisation?.shift.map(
    (value, i) => -value / normalisation.scale[i % normalisation.scale.length]!,
  )
  const caffe = means?.length === 3 && Math.abs(means[0]! - 103.9) < 2 && Math.abs(means[2]! - 123.7) < 2
  return caffe ? 'bgr' : 'rgb'
}

/** Whole bytes are divided by something large, or have a mean beyond what [0,1] holds. */
function guessRange(
  { dtype }: ValueInfo,
  { normalisation, first, initializers }: Start,
): ImageGuess['range'] {
  if (dtype === 'uint8') return { value: [0, 255], because: 'the input is uint8' }
  if (normalisation) {
    const scale = Math.max(...normalisation.scale.map(Math.abs))
    const shift = Math.max(...normalisation.shift.map(Math.abs))
    const bytes = scale < 0.1 || (scale < 2 && shift > 10)
    return bytes
      ? { value: [0, 255], because: 'the graph begins by scaling bytes' }
      : { value: [0, 1], because: 'the graph begins by subtracting and dividing what fits [0,1]' }
  }
  const mean = first?.opType === 'BatchNormalization' ? initializers.get(first.inputs[3]!) : undefined
  if (mean?.dtype !== 'float32') return undefined
  const largest = Math.max(...mean.numbers.map(Math.abs))
  if (largest > 2) return { value: [0, 255], because: 'its first batch norm saw means beyond 2' }
  return largest > 0.2 && Math.min(...mean.numbers) > 0
    ? { value: [0, 1], because: 'its first batch norm saw means between 0 and 1' }
    : undefined
}
