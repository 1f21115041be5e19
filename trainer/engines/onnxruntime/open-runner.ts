import type { Graph } from '../../../converters/onnx/graph.ts'
import type { Feeds, SessionOptions } from '../../../converters/onnx/runtime/session.ts'
import { Chain } from './chain.ts'
import { type ProgramRequest, relevant } from './prepare.ts'
import { Program } from './program.ts'
import type { Runner, WeightSource } from './runner.ts'

/** Graphs of more nodes are run in segments: ResNet-200 has 680, ResNet-338 1140. */
const DEEP = 1000

/** Whether a request runs in segments, to be built in little time and run in little memory. */
export const isDeep = (graph: Graph, request: ProgramRequest): boolean =>
  relevant(graph, request).nodes.length > DEEP

/** What computes a request on feeds of these shapes, in this thread. */
export async function openRunner(
  graph: Graph,
  feeds: Feeds,
  request: ProgramRequest,
  weights: WeightSource,
  options: SessionOptions,
): Promise<Runner> {
  if (isDeep(graph, request)) return await Chain.build(graph, feeds, request, weights, options)
  const program = await Program.build(graph, feeds, request, weights, options)
  return program.bind(weights)
}
