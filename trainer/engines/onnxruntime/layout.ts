import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeModel } from '../../../converters/onnx/codec.ts'
import type { Model } from '../../../converters/onnx/graph.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { sizeOf, Tensor } from '../../../converters/onnx/tensor.ts'

/** A value in the order in which a kernel of onnxruntime reads it. */
export interface Placement {
  /** The input of the optimised model that takes it. */
  readonly input: string
  readonly dims: readonly number[]
  /** The value that it is made of. */
  readonly source: string
  /** For each element the one of the source that goes there, or -1 for a zero; without it the order is the same. */
  readonly order?: Int32Array
}

export interface OptimisedModel {
  /** To be opened without further optimisation, in this process. */
  readonly model: Model
  readonly placements: readonly Placement[]
}

/** The smallest normal float32; the marks are the bit patterns from there on. */
const FIRST_MARK = 0x00800000
/** Constants of a graph are larger numbers than the marks: 2e-23 and more. */
const MOST_MARKS = 0x1a000000 - FIRST_MARK

/**
 * The model as onnxruntime optimises it for this processor when the given inputs are constants, yet with those as
 * inputs. Constant kernels convolve almost twice as fast, for onnxruntime reorders them once into its blocked layout
 * (NCHWc); so we let it do that to numbered elements, and read off where each element went.
 *
 * The result is good for this version of onnxruntime and this processor: it lives as long as the process.
 * undefined where an optimisation has computed with a value rather than moved it.
 */
export async function optimised(
  model: Model,
  values: ReadonlyMap<string, readonly number[]>,
): Promise<OptimisedModel | undefined> {
  const marks = numbered(values)
  if (!marks) return undefined
  const { graph } = model
  const constant: Model = {
    ...model,
    graph: {
      ...graph,
      inputs: graph.inputs.filter(({ name }) => !values.has(name)),
      initializers: new Map([...graph.initializers, ...marks.tensors]),
    },
  }
  const result = await optimisedByRuntime(constant)
  const placements: Placement[] = []
  for (const [input, tensor] of result.graph.initializers) {
    const found = tensor.dtype === 'float32' ? placementOf(input, tensor, marks.ranges) : 'constant'
    if (found === 'computed') return undefined
    if (found !== 'constant') placements.push(found)
  }
  const placed = new Set(placements.map(({ source }) => source))
  if ([...values.keys()].some((name) => !placed.has(name))) return undefined
  return { model: withInputs(result, placements), placements }
}

interface Range {
  readonly source: string
  readonly first: number
  readonly end: number
}

/** Tensors whose elements are numbered throughout. */
function numbered(values: ReadonlyMap<string, readonly number[]>) {
  const ranges: Range[] = []
  const tensors = new Map<string, Tensor>()
  let first = FIRST_MARK
  for (const [source, dims] of values) {
    const size = sizeOf(dims)
    const marks = Uint32Array.from({ length: size }, (_, i) => first + i)
    tensors.set(source, new Tensor('float32', dims, new Uint8Array(marks.buffer)))
    ranges.push({ source, first, end: first + size })
    first += size
  }
  return first - FIRST_MARK > MOST_MARKS ? undefined : { ranges, tensors }
}

async function optimisedByRuntime(model: Model): Promise<Model> {
  const folder = await mkdtemp(join(tmpdir(), 'zoo-optimised-'))
  try {
    const path = join(folder, 'model.onnx')
    const session = await openSession(model, { writeOptimised: path })
    await session.release()
    return decodeModel(await readFile(path))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Where the marks in an initialiser come from; `computed` if something else is among them. */
function placementOf(
  input: string,
  tensor: Tensor,
  ranges: readonly Range[],
): Placement | 'constant' | 'computed' {
  const { floats, dims } = tensor
  const marks = new Uint32Array(floats.buffer, floats.byteOffset, floats.length)
  const end = ranges.at(-1)?.end ?? FIRST_MARK
  const one = marks.find((mark) => mark !== 0)
  if (one === undefined || one < FIRST_MARK || one >= end) return 'constant'
  const { source, first, end: last } = ranges.find((range) => one >= range.first && one < range.end)!
  const order = Int32Array.from(marks, (mark) => (mark === 0 ? -1 : mark - first))
  if (marks.some((mark) => mark !== 0 && (mark < first || mark >= last))) return 'computed'
  const same = order.length === last - first && order.every((from, i) => from === i)
  return same ? { input, dims, source } : { input, dims, source, order }
}

function withInputs(model: Model, placements: readonly Placement[]): Model {
  const { graph } = model
  const placed = new Set(placements.map(({ input }) => input))
  return {
    ...model,
    graph: {
      ...graph,
      inputs: [
        ...graph.inputs,
        ...placements.map(({ input, dims }) => ({ name: input, dtype: 'float32' as const, dims })),
      ],
      initializers: new Map([...graph.initializers].filter(([name]) => !placed.has(name))),
    },
  }
}
