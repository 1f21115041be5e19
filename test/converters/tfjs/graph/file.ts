import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { normals } from '../../../../converters/perturb/random.ts'
import { temporaryFolder } from '../models.ts'

type Attribute = Record<string, unknown>

export const ints = (values: readonly number[]): Attribute => ({ list: { i: values.map(String) } })
export const int = (value: number): Attribute => ({ i: String(value) })
export const float = (value: number): Attribute => ({ f: value })
export const flag = (value: boolean): Attribute => ({ b: value })
export const text = (value: string): Attribute => ({ s: Buffer.from(value).toString('base64') })
export const texts = (values: readonly string[]): Attribute => ({
  list: { s: values.map((value) => Buffer.from(value).toString('base64')) },
})
export const type = (value: string): Attribute => ({ type: value })

/** A graph model as tensorflowjs_converter writes it, node by node. */
export class GraphFile {
  readonly #nodes: object[] = []
  readonly #weights: object[] = []
  readonly #bytes: Uint8Array[] = []
  readonly outputs: Record<string, { name: string }> = {}

  /** An input; -1 stands for a size that is open. */
  input(name: string, dims: readonly number[], dtype = 'DT_FLOAT'): string {
    const shape = { shape: { dim: dims.map((size) => ({ size: String(size) })) } }
    return this.node('Placeholder', [], { dtype: type(dtype), shape }, name)
  }

  /** A weight of random numbers, the same for the same name. */
  weight(
    name: string,
    dims: readonly number[],
    change: (value: number) => number = (value) => value,
  ): string {
    const seed = [...name].reduce((total, letter) => total * 31 + letter.charCodeAt(0), 7)
    const size = dims.reduce((total, dim) => total * dim, 1)
    return this.#constant(name, dims, 'float32', normals([seed], size).map(change))
  }

  floats(values: readonly number[], dims: readonly number[] = [values.length]): string {
    return this.#constant(`floats_${this.#nodes.length}`, dims, 'float32', Float32Array.from(values))
  }

  /** A constant of integers: a vector, or a scalar with `dims` []. */
  ints(values: readonly number[], dims: readonly number[] = [values.length]): string {
    return this.#constant(`ints_${this.#nodes.length}`, dims, 'int32', Int32Array.from(values))
  }

  node(
    op: string,
    input: readonly string[],
    attr: Record<string, Attribute> = {},
    name = `${op}_${this.#nodes.length}`,
  ): string {
    this.#nodes.push({ name, op, input, attr })
    return name
  }

  /** Writes the model with the outputs named so far, or `outputs`; answers the path of its model.json. */
  async save(outputs: readonly string[]): Promise<string> {
    const folder = await temporaryFolder()
    const json = {
      format: 'graph-model',
      modelTopology: { node: this.#nodes, versions: {} },
      signature: {
        outputs: Object.fromEntries(
          outputs.map((name) => [name, { name: name.includes(':') ? name : `${name}:0` }]),
        ),
      },
      weightsManifest: [{ paths: ['weights.bin'], weights: this.#weights }],
    }
    await writeFile(join(folder, 'model.json'), JSON.stringify(json))
    await writeFile(join(folder, 'weights.bin'), Buffer.concat(this.#bytes))
    return join(folder, 'model.json')
  }

  #constant(
    name: string,
    shape: readonly number[],
    dtype: string,
    values: Float32Array | Int32Array,
  ): string {
    this.#weights.push({ name, shape, dtype })
    this.#bytes.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    return this.node('Const', [], { dtype: type(dtype === 'int32' ? 'DT_INT32' : 'DT_FLOAT') }, name)
  }
}
