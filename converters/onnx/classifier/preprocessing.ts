import { ZooError } from '../../../manifests/error.ts'
import type { InputDescription } from '../../../manifests/schema/input.ts'
import { GraphBuilder } from '../builder.ts'
import type { Dim, Graph, ValueInfo } from '../graph.ts'
import { claimName, reserveNames } from '../rename.ts'
import { dataTypeCode } from '../tensor.ts'

export interface Prepended {
  readonly graph: Graph
  /** Name of the image input. */
  readonly image: string
  /** Shape of one image. */
  readonly shape: readonly number[]
}

type ImageShape = readonly [channels: number, height: number, width: number]

/**
 * Prepends how the model wants its images, so that its input becomes `image`: float32, NCHW, in [0,1], RGB or one grey
 * channel. Without a description the input keeps its name and shape but becomes float32, so that the Cast of an integer
 * input does nothing.
 */
export function prependPreprocessing(
  graph: Graph,
  port: ValueInfo,
  description: InputDescription | undefined,
): Prepended {
  if (description === undefined) {
    const shape = port.dims!.slice(1).map((dim) => known(dim, port))
    const image: ValueInfo = { ...port, dtype: 'float32', dims: [port.dims![0]!, ...shape] }
    return { graph: prepend(graph, port, image, (_, value) => value), image: port.name, shape }
  }
  const shape = imageShape(port, description)
  const image: ValueInfo = { name: 'image', dtype: 'float32', dims: [batchOf(port, description), ...shape] }
  const prepared = prepend(graph, port, image, (builder, value) =>
    inLayout(builder, normalised(builder, value, shape[0], description), port, description),
  )
  return { graph: prepared, image: 'image', shape }
}

/** Puts nodes between a new image input and what read the old one. */
function prepend(
  graph: Graph,
  port: ValueInfo,
  image: ValueInfo,
  build: (builder: GraphBuilder, image: string) => string,
): Graph {
  const prepared = `${port.name}/prepared`
  const inner = reserveNames(claimName(graph, port.name, prepared), [image.name])
  const nodes = [...inner.nodes]
  const extended: Graph = {
    ...inner,
    inputs: inner.inputs.map((input) => (input.name === prepared ? image : input)),
    nodes,
    initializers: new Map(inner.initializers),
  }
  const builder = new GraphBuilder(extended)
  const value = build(builder, image.name)
  if (port.dtype === 'float64')
    builder.op('Cast', [value], { to: dataTypeCode('float64') }, { outputs: [prepared] })
  else builder.op('Identity', [value], {}, { outputs: [prepared] })
  const added = nodes.splice(inner.nodes.length)
  return { ...extended, nodes: [...added, ...nodes] }
}

/** Range, channel order, mean and std, as one multiplication and one addition per channel. */
function normalised(
  builder: GraphBuilder,
  image: string,
  channels: number,
  { range: [low, high], channels: order, mean, std }: InputDescription,
): string {
  if (order === 'bgr' && channels !== 3)
    throw new ZooError('usage', `channels bgr means three of them; the model takes ${channels}`)
  const ordered =
    order === 'bgr' ? builder.op('Gather', [image, builder.int64s([2, 1, 0])], { axis: 1 }) : image
  const means = perChannel(mean ?? [0], channels, 'mean')
  const stds = perChannel(std ?? [1], channels, 'std')
  const scale = stds.map((value) => (high - low) / value)
  const shift = stds.map((value, channel) => (low - means[channel]!) / value)
  const scaled = scale.every((value) => value === 1)
    ? ordered
    : builder.op('Mul', [ordered, builder.constant('float32', [1, channels, 1, 1], scale)])
  return shift.every((value) => value === 0)
    ? scaled
    : builder.op('Add', [scaled, builder.constant('float32', [1, channels, 1, 1], shift)])
}

function perChannel(values: readonly number[], channels: number, what: string): readonly number[] {
  if (values.length === 1) return Array(channels).fill(values[0])
  if (values.length === channels) return values
  throw new ZooError('usage', `${values.length} values of ${what} for ${channels} channels`)
}

function inLayout(
  builder: GraphBuilder,
  image: string,
  port: ValueInfo,
  { layout }: InputDescription,
): string {
  const laidOut = layout === 'nhwc' ? builder.op('Transpose', [image], { perm: [0, 2, 3, 1] }) : image
  const dims = port.dims!
  if (layout !== 'flat' && dims.length === 4) return laidOut
  // The batch axis, where there is one, is the one size that may be open.
  const target = dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? -1 : known(dim, port)))
  return builder.op('Reshape', [laidOut, builder.int64s(target)])
}

/** A model whose input has no batch axis takes one image at a time. */
const batchOf = (port: ValueInfo, { layout }: InputDescription): Dim =>
  layout !== 'flat' && port.dims!.length === 3 ? 1 : (port.dims![0] ?? 'batch')

function imageShape(port: ValueInfo, { layout, size, channels }: InputDescription): ImageShape {
  const dims = port.dims!
  if (layout === 'flat') return flatShape(port, size)
  if (dims.length !== 3 && dims.length !== 4)
    throw new ZooError(
      'usage',
      `the input "${port.name}" has ${dims.length} axes: that is not layout ${layout}`,
      {
        hint: 'for images laid out as one vector give --layout flat',
      },
    )
  const [a, b, c] = dims.slice(-3) as [Dim, Dim, Dim]
  const [depth, height, width] = layout === 'nchw' ? [a, b, c] : [c, a, b]
  const count = typeof depth === 'number' ? depth : channels === 'grey' ? 1 : 3
  if (count !== 1 && count !== 3)
    throw new ZooError(
      'usage',
      `the input "${port.name}" [${dims}] has ${count} channels in layout ${layout}`,
      {
        hint: `give the other layout (--layout ${layout === 'nchw' ? 'nhwc' : 'nchw'})`,
      },
    )
  return [count, side(height, size?.[0], port), side(width, size?.[1], port)]
}

function flatShape(port: ValueInfo, size: readonly [number, number] | undefined): ImageShape {
  const length = port.dims!.slice(1).reduce<number>((product, dim) => product * known(dim, port), 1)
  const candidates = size
    ? [size]
    : [1, 3].map((channels) => Math.sqrt(length / channels)).map((s) => [s, s] as const)
  for (const [height, width] of candidates) {
    const channels = length / (height * width)
    if (Number.isInteger(height) && (channels === 1 || channels === 3)) return [channels, height, width]
  }
  throw new ZooError('usage', `${length} values make no image of one or three channels`, {
    hint: 'give the size of the image (--size HxW)',
  })
}

function side(dim: Dim, given: number | undefined, port: ValueInfo): number {
  if (typeof dim !== 'number') {
    if (given !== undefined) return given
    return known(dim, port)
  }
  if (given !== undefined && given !== dim)
    throw new ZooError('usage', `the model takes images of side ${dim}, not ${given}`)
  return dim
}

function known(dim: Dim, port: ValueInfo): number {
  if (typeof dim === 'number') return dim
  throw new ZooError('unsupported-model', `the input "${port.name}" leaves the size of its images open`, {
    hint: 'give their size (--size HxW)',
  })
}
