import { encodeModel } from '../../../../converters/onnx/codec.ts'
import { type Graph, modelOf } from '../../../../converters/onnx/graph.ts'
import { tensorsToWire } from '../../../../converters/onnx/runtime/protocol.ts'
import type { Feeds } from '../../../../converters/onnx/runtime/session.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import type { ProgramRequest } from '../prepare.ts'
import type { Runner } from '../runner.ts'
import type { Workers } from './workers.ts'

let built = 0

/**
 * Gives each worker its share of a batch. Right only for graphs that compute each example from that example alone;
 * who uses this must have seen that results are the same.
 */
export class Sharded implements Runner {
  readonly #workers: Workers
  readonly #runner: number
  /** Feeds whose rows are examples; the others go to all. */
  readonly #batched: ReadonlySet<string>

  private constructor(workers: Workers, runner: number, batched: ReadonlySet<string>) {
    this.#workers = workers
    this.#runner = runner
    this.#batched = batched
  }

  static async build(
    graph: Graph,
    feeds: Feeds,
    request: ProgramRequest,
    workers: Workers,
  ): Promise<Sharded> {
    const batched = graph.inputs.filter(({ dims }) => typeof dims?.[0] === 'string').map(({ name }) => name)
    const sharded = new Sharded(workers, built++, new Set(batched))
    const model = encodeModel(modelOf(graph))
    await workers.ask(
      sharded.#shares(feeds).map((share) => ({
        kind: 'build',
        runner: sharded.#runner,
        model,
        feeds: tensorsToWire(share),
        request,
      })),
    )
    return sharded
  }

  async run(feeds: Feeds): Promise<Record<string, Tensor>> {
    const shares = this.#shares(feeds)
    const parts = await this.#workers.ask(
      shares.map((share) => ({ kind: 'run', runner: this.#runner, feeds: tensorsToWire(share) })),
    )
    const names = Object.keys(parts[0]!)
    return Object.fromEntries(names.map((name) => [name, joined(parts.map((part) => part[name]!))]))
  }

  async release(): Promise<void> {
    const { count } = this.#workers
    await this.#workers.ask(Array.from({ length: count }, () => ({ kind: 'release', runner: this.#runner })))
  }

  #shares(feeds: Feeds): Feeds[] {
    const { count } = this.#workers
    return Array.from({ length: count }, (_, i) =>
      Object.fromEntries(
        Object.entries(feeds).map(([name, tensor]) => [
          name,
          this.#batched.has(name) ? share(tensor, i, count) : tensor,
        ]),
      ),
    )
  }
}

/** Rows of part `i` of `count`, as even as can be, in memory of their own. */
function share(tensor: Tensor, i: number, count: number): Tensor {
  const [rows, ...rest] = tensor.dims as [number, ...number[]]
  const size = tensor.bytes.byteLength / rows
  const [begin, end] = [Math.floor((rows * i) / count), Math.floor((rows * (i + 1)) / count)]
  return new Tensor(
    tensor.dtype,
    [end - begin, ...rest],
    new Uint8Array(tensor.bytes.subarray(begin * size, end * size)),
  )
}

function joined(parts: readonly Tensor[]): Tensor {
  const [, ...rest] = parts[0]!.dims
  const values = new Float32Array(parts.reduce((sum, { size }) => sum + size, 0))
  let at = 0
  for (const { floats } of parts) {
    values.set(floats, at)
    at += floats.length
  }
  return Tensor.float32([parts.reduce((sum, { dims }) => sum + (dims[0] ?? 0), 0), ...rest], values)
}
