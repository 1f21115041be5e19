import { GraphBuilder } from '../../../converters/onnx/builder.ts'
import { gradientName } from '../../../converters/onnx/gradient/differentiate.ts'
import type { Graph } from '../../../converters/onnx/graph.ts'
import type { Feeds, SessionOptions } from '../../../converters/onnx/runtime/session.ts'
import type { Tensor } from '../../../converters/onnx/tensor.ts'
import { type ProgramRequest, relevant } from './prepare.ts'
import { Program } from './program.ts'
import type { Runner, WeightSource } from './runner.ts'
import { ENTRY, EXIT, type Segment, segmentsOf } from './segments.ts'

interface Link {
  readonly segment: Segment
  /** From what enters to what exits; the last link of a differentiated chain has none. */
  readonly forward?: Runner
  /** From what enters and the gradient of what exits to all other gradients. */
  readonly backward?: Runner
}

/** The gradient of a segment's exit, which comes back from the segment after it. */
const RETURN = 'return'

/**
 * A deep graph as a row of short ones. Going forward it keeps only what passes from segment to segment; going back
 * it computes each segment anew (gradient checkpointing, Chen et al. 2016). Segments that differ only in their weights,
 * as the blocks of a stage do, share their sessions: 638 layers are made ready as fast as a few dozen.
 */
export class Chain implements Runner {
  readonly #links: readonly Link[]
  readonly #programs: readonly Program[]

  private constructor(links: readonly Link[], programs: readonly Program[]) {
    this.#links = links
    this.#programs = programs
  }

  /** @throws ZooError `unsupported-model` for a graph that can't be differentiated or run */
  static async build(
    graph: Graph,
    feeds: Feeds,
    request: ProgramRequest,
    weights: WeightSource,
    options: SessionOptions,
  ): Promise<Chain> {
    const isWeight = (name: string): boolean => weights.has(name)
    const kept = new Set(
      [...request.outputs, ...request.withRespectTo, request.of ?? ''].filter((name) => !isWeight(name)),
    )
    const segments = segmentsOf(relevant(graph, request), isWeight, kept)
    const builder = new ChainBuilder(feeds, request, weights, options)
    const links: Link[] = []
    for (const segment of segments) links.push(await builder.link(segment))
    return new Chain(links, [...builder.programs.values()])
  }

  async run(feeds: Feeds): Promise<Record<string, Tensor>> {
    const results: Record<string, Tensor> = {}
    const entries: Tensor[] = []
    let entry: Tensor | undefined
    for (const { segment, forward } of this.#links) {
      if (entry) entries.push(entry)
      if (!forward) break
      const values = await forward.run(entry ? { ...feeds, [ENTRY]: entry } : feeds)
      collect(results, values, segment)
      entry = values[EXIT]
    }
    let back: Tensor | undefined
    for (const { segment, backward } of this.#links.toReversed()) {
      if (!backward) break
      const given = segment.enters ? { ...feeds, [ENTRY]: entries.pop()! } : feeds
      const values = await backward.run(back ? { ...given, [RETURN]: back } : given)
      collect(results, values, segment)
      back = values[gradientName(ENTRY)]
    }
    return results
  }

  async release(): Promise<void> {
    for (const program of this.#programs) await program.release()
  }
}

/** Adds a segment's results under the names that the whole graph gives them; a weight may be in several segments. */
function collect(
  results: Record<string, Tensor>,
  values: Readonly<Record<string, Tensor>>,
  { names, graph }: Segment,
): void {
  for (const [own, name] of names) if (values[own]) results[name] = values[own]
  const sources = [...names, ...graph.inputs.map(({ name }) => [name, name] as const)]
  for (const [own, name] of sources) {
    const value = own === ENTRY ? undefined : values[gradientName(own)]
    if (!value) continue
    const sum = results[gradientName(name)]
    if (sum) add(sum.floats, value.floats)
    else results[gradientName(name)] = value
  }
}

/** Builds links one after the other: what exits from one shows the next the shape of what enters. */
class ChainBuilder {
  readonly programs = new Map<string, Program>()
  readonly #feeds: Feeds
  readonly #request: ProgramRequest
  readonly #weights: WeightSource
  readonly #options: SessionOptions
  #entry: Tensor | undefined
  /** Whether any gradient is wanted of the segments so far. */
  #reached = false

  constructor(feeds: Feeds, request: ProgramRequest, weights: WeightSource, options: SessionOptions) {
    this.#feeds = feeds
    this.#request = request
    this.#weights = weights
    this.#options = options
  }

  async link(segment: Segment): Promise<Link> {
    const { graph, names, exits } = segment
    const { of, withRespectTo, passing = [] } = this.#request
    const feeds = this.#entry ? { ...this.#feeds, [ENTRY]: this.#entry } : this.#feeds
    const nameOf = (own: string): string => names.get(own) ?? own
    const sources = [...graph.inputs.map(({ name }) => name), ...names.keys()].filter((own) =>
      withRespectTo.includes(nameOf(own)),
    )
    const differentiated = of !== undefined && (this.#reached || sources.length > 0)
    const wanted = [...names.keys()].filter((own) => this.#request.outputs.includes(nameOf(own)))
    const weights = this.#seen(names)

    let forward: Runner | undefined
    if (exits || !differentiated) {
      const outputs = [...(differentiated ? [] : wanted), ...(exits ? [EXIT] : [])]
      const request = { outputs, withRespectTo: [], passing: exits ? [EXIT] : [] }
      forward = await this.#runner(segment, graph, feeds, request, weights)
    }
    let exit: Tensor | undefined
    if (forward && exits) exit = (await forward.run(feeds))[EXIT]!
    let backward: Runner | undefined
    if (differentiated) {
      const target = [...names].find(([, name]) => name === of)?.[0]
      const wrt = [...(this.#reached ? [ENTRY] : []), ...sources]
      const request = {
        outputs: wanted,
        of: exits ? OBJECTIVE : target!,
        withRespectTo: wrt,
        passing: [
          ...wrt
            .filter((own) => own === ENTRY || passing.includes(gradientName(nameOf(own))))
            .map(gradientName),
          ...wanted.filter((own) => passing.includes(nameOf(own))),
        ],
      }
      backward = exit
        ? await this.#runner(segment, pulledBack(graph, exit), { ...feeds, [RETURN]: exit }, request, weights)
        : await this.#runner(segment, graph, feeds, request, weights)
    }
    this.#reached ||= differentiated
    this.#entry = exit
    return { segment, ...(forward && { forward }), ...(backward && { backward }) }
  }

  async #runner(
    segment: Segment,
    graph: Graph,
    feeds: Feeds,
    request: ProgramRequest,
    weights: WeightSource,
  ): Promise<Runner> {
    const key = JSON.stringify([segment.key, request, this.#entry?.dims ?? null])
    let program = this.programs.get(key)
    if (!program) {
      program = await Program.build(graph, feeds, request, weights, {
        ...this.#options,
        returnMemory: true,
      })
      this.programs.set(key, program)
    }
    return program.bind(weights)
  }

  /** The weights by a segment's own names. */
  #seen(names: ReadonlyMap<string, string>): WeightSource {
    const weights = this.#weights
    return {
      get version() {
        return weights.version
      },
      has: (own) => weights.has(names.get(own) ?? ''),
      get: (own) => weights.get(names.get(own)!),
    }
  }
}

const OBJECTIVE = 'objective'

/** The segment with the value whose gradient is that of the loss: exit · (gradient of the loss by the exit). */
function pulledBack(graph: Graph, exit: Tensor): Graph {
  const extended: Graph = {
    ...graph,
    inputs: [...graph.inputs, { name: RETURN, dtype: 'float32', dims: exit.dims }],
    nodes: [...graph.nodes],
  }
  new GraphBuilder(extended).op('Mul', [EXIT, RETURN], {}, { outputs: [OBJECTIVE] })
  return extended
}

function add(sum: Float32Array, term: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += term[i]!
}
