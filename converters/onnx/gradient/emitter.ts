import { ZooError } from '../../../manifests/error.ts'
import type { AttributeValues, GraphBuilder } from '../builder.ts'
import type { Graph, Node } from '../graph.ts'
import { type DataType, dataTypeCode, Tensor } from '../tensor.ts'
import type { Facts } from './facts.ts'
import { isFixed, needsBatch, type PerImage, type Sizes } from './sizes.ts'

/** Beyond any axis: "to the end" for Slice. */
const END = 2 ** 53 - 1

/** Writes one node's part of the backward pass: arithmetic by its usual names, in the node's float type, named after the node. */
export class Emitter {
  readonly #builder: GraphBuilder
  readonly #facts: Facts
  readonly #prefix: string
  readonly dtype: DataType
  readonly #dims: Map<string, string>

  constructor(
    builder: GraphBuilder,
    facts: Facts,
    prefix = 'gradient',
    dtype: DataType = 'float32',
    dims = new Map<string, string>(),
  ) {
    this.#builder = builder
    this.#facts = facts
    this.#prefix = prefix
    this.dtype = dtype
    this.#dims = dims
  }

  /** An emitter that names what it makes after `name` and whose scalars are of type `dtype`. */
  within(name: string, dtype: DataType): Emitter {
    return new Emitter(this.#builder, this.#facts, name, dtype, this.#dims)
  }

  op(opType: string, inputs: readonly string[], attributes: AttributeValues = {}): string {
    return this.ops(opType, inputs, 1, attributes)[0]!
  }

  ops(
    opType: string,
    inputs: readonly string[],
    outputs: number,
    attributes: AttributeValues = {},
  ): string[] {
    const name = this.#builder.fresh(`${this.#prefix}/${opType}`)
    return this.#builder.ops(opType, inputs, attributes, { name, outputs })
  }

  /** The same operator with the same attributes on other inputs. */
  repeat(node: Node, inputs: readonly string[]): string {
    return this.repeats(node, inputs, 1)[0]!
  }

  repeats(node: Node, inputs: readonly string[], count: number): string[] {
    const name = this.#builder.fresh(`${this.#prefix}/${node.opType}`)
    const outputs = Array.from({ length: count }, () => this.#builder.fresh(`${name}:out`))
    this.#builder.graph.nodes.push({ ...node, name, inputs, outputs })
    return outputs
  }

  /** Another graph's nodes, its inputs bound to values of this one; gives its outputs. */
  inline(graph: Graph, bound: Readonly<Record<string, string>>): string[] {
    const names = new Map<string, string>()
    for (const { name } of graph.inputs) {
      if (bound[name] === undefined)
        throw new ZooError(
          'usage',
          `a formula has no input "${name}"; it may have ${Object.keys(bound).join(', ')}`,
        )
      names.set(name, bound[name])
    }
    for (const [name, tensor] of graph.initializers)
      names.set(name, this.#builder.initializer(tensor, `${this.#prefix}/${name}`))
    for (const node of graph.nodes) {
      const outputs = node.outputs.map((output) => output && this.#builder.fresh(`${this.#prefix}/${output}`))
      for (const [i, output] of node.outputs.entries()) names.set(output, outputs[i]!)
      const inputs = node.inputs.map((input) => input && names.get(input)!)
      const name = this.#builder.fresh(`${this.#prefix}/${node.opType}`)
      this.#builder.graph.nodes.push({ ...node, name, inputs, outputs })
    }
    return graph.outputs.map((output) => names.get(output.name)!)
  }

  scalar(value: number): string {
    return this.#builder.constant(this.dtype, [], [value])
  }

  /** A constant of the node's float type. */
  floats(dims: readonly number[], values: Float32Array | readonly number[]): string {
    return values.length > 64 && this.dtype === 'float32'
      ? this.#builder.initializer(Tensor.float32(dims, values), `${this.#prefix}/constant`)
      : this.#builder.constant(this.dtype, dims, Array.from(values))
  }

  /** A float32 constant, whatever the node's type: scales of Resize. */
  singles(dims: readonly number[], values: readonly number[]): string {
    return this.#builder.constant('float32', dims, values)
  }

  int64(value: number): string {
    return this.#builder.constant('int64', [], [value])
  }

  /** A one-dimensional int64 constant. */
  ints(values: readonly number[]): string {
    return this.#builder.int64s(values)
  }

  add = (a: string, b: string): string => this.op('Add', [a, b])
  sub = (a: string, b: string): string => this.op('Sub', [a, b])
  mul = (a: string, b: string): string => this.op('Mul', [a, b])
  div = (a: string, b: string): string => this.op('Div', [a, b])
  neg = (a: string): string => this.op('Neg', [a])
  exp = (a: string): string => this.op('Exp', [a])
  sqrt = (a: string): string => this.op('Sqrt', [a])
  /** `a` times a number. */
  scale = (a: string, by: number): string => (by === 1 ? a : this.mul(a, this.scalar(by)))
  /** `a` plus a number. */
  shift = (a: string, by: number): string => (by === 0 ? a : this.add(a, this.scalar(by)))
  square = (a: string): string => this.mul(a, a)

  /** `a` where the condition holds, `b` (or zero) elsewhere. */
  where = (condition: string, a: string, b: string = this.scalar(0)): string =>
    this.op('Where', [condition, a, b])

  cast(value: string, to: DataType = this.dtype): string {
    return this.op('Cast', [value], { to: dataTypeCode(to) })
  }

  matMul = (a: string, b: string): string => this.op('MatMul', [a, b])

  transpose(value: string, perm: readonly number[]): string {
    return perm.every((axis, i) => axis === i) ? value : this.op('Transpose', [value], { perm })
  }

  reshape(value: string, sizes: Sizes): string {
    const open = sizes.filter((size) => typeof size !== 'number')
    if (open.length === 1 && !sizes.includes(0))
      return this.op('Reshape', [
        value,
        this.ints(sizes.map((size) => (typeof size === 'number' ? size : -1))),
      ])
    return this.op('Reshape', [value, this.dims(sizes)], sizes.includes(0) ? { allowzero: 1 } : {})
  }

  expand = (value: string, sizes: Sizes): string => this.op('Expand', [value, this.dims(sizes)])

  sum(value: string, axes: readonly number[], keepdims: boolean): string {
    return axes.length === 0 ? value : this.reduce('ReduceSum', value, axes, keepdims)
  }

  reduce(opType: `Reduce${string}`, value: string, axes: readonly number[], keepdims: boolean): string {
    return this.op(opType, [value, this.ints(axes)], { keepdims: keepdims ? 1 : 0 })
  }

  slice(
    value: string,
    starts: readonly number[],
    ends: readonly number[],
    axes: readonly number[],
    steps?: readonly number[],
  ): string {
    const inputs = [value, this.ints(starts), this.ints(ends), this.ints(axes)]
    return this.op('Slice', steps === undefined ? inputs : [...inputs, this.ints(steps)])
  }

  /** Reverses the order along some axes. */
  flip(value: string, axes: readonly number[]): string {
    if (axes.length === 0) return value
    const all = (filler: number): number[] => axes.map(() => filler)
    return this.slice(value, all(-1), all(-END), axes, all(-1))
  }

  concat = (values: readonly string[], axis: number): string =>
    values.length === 1 ? values[0]! : this.op('Concat', values, { axis })

  /** Zeros around a value: `pads` has the beginnings of all axes, then the ends. */
  pad(value: string, pads: readonly number[]): string {
    return pads.every((pad) => pad === 0) ? value : this.op('Pad', [value, this.ints(pads), this.scalar(0)])
  }

  /** A value of the node's float type, all elements the same. */
  filled(sizes: Sizes, value: number): string {
    return this.op('ConstantOfShape', [this.dims(sizes)], { value: filler(this.dtype, value) })
  }

  /** Sizes as a one-dimensional int64 value: a constant, or computed from the batch size when the model runs. */
  dims(sizes: Sizes): string {
    if (isFixed(sizes)) return this.ints(sizes)
    return this.#once(`dims ${JSON.stringify(sizes)}`, () =>
      this.concat(
        sizes.map((size) => {
          if (size === null) throw needsBatch(`the shape [${sizes.map((s) => JSON.stringify(s))}]`)
          return typeof size === 'number' ? this.ints([size]) : this.#perImage(size)
        }),
        0,
      ),
    )
  }

  #perImage({ perImage }: PerImage): string {
    const batch = this.#once('batch', () => {
      if (this.#facts.batch === null) throw needsBatch('the gradient')
      return this.#builder.op(
        'Shape',
        [this.#facts.batch],
        { start: 0, end: 1 },
        { name: this.#builder.fresh('batch') },
      )
    })
    return perImage === 1
      ? batch
      : this.#once(`batch ${perImage}`, () => this.mul(batch, this.ints([perImage])))
  }

  #once(key: string, emit: () => string): string {
    const known = this.#dims.get(key)
    if (known !== undefined) return known
    const made = emit()
    this.#dims.set(key, made)
    return made
  }
}

function filler(dtype: DataType, value: number): Tensor {
  return dtype === 'float64'
    ? Tensor.of('float64', [1], Float64Array.of(value))
    : Tensor.float32([1], [value])
}
