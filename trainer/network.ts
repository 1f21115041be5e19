import type { Graph } from '../converters/onnx/graph.ts'
import type { Tensor } from '../converters/onnx/tensor.ts'
import { ZooError } from '../manifests/error.ts'
import type { ResNetSpec } from '../manifests/schema/recipe.ts'
import type { WeightSpec } from './engines/engine.ts'
import type { Branch } from './resnet/layers.ts'
import { branchesOf, resnet } from './resnet/resnet.ts'
import { batchStatistics, runningStatistics, type TrainingForm } from './resnet/statistics.ts'

/** A classifier to train: its graphs, one for each branch of its norms, and the weights that they share by name. */
export interface Network {
  /** Channels, height, width. */
  readonly shape: readonly [number, number, number]
  readonly classes: number
  readonly branches: readonly Branch[]
  /** First values of all weights. */
  readonly weights: readonly WeightSpec[]
  /** The inference form: `image` [N, C, H, W] in [0,1] to `logits` [N, classes]. */
  graph(branch: Branch): Graph
}

/** A loss graph for attacking and for training. */
export interface Objective {
  /** Normalises by running statistics: what is deployed, and what the adversary sees. */
  readonly inference: TrainingForm
  /** Normalises by the batch and updates running statistics. */
  readonly training: TrainingForm
}

export function resnetNetwork(
  spec: ResNetSpec,
  shape: readonly [number, number, number],
  classes: number,
  seed: number,
): Network {
  const weights = new Map<string, Tensor>()
  const branches = branchesOf(spec)
  const graphs = new Map(
    branches.map((branch) => [branch, resnet({ spec, shape, classes, branch, weights, seed })]),
  )
  return {
    shape,
    classes,
    branches,
    weights: [...weights].map(([name, value]) => ({ name, value, role: roleOf(name) })),
    graph: (branch) => graphs.get(branch)!,
  }
}

/** The same network with some weights frozen: names, or what they begin with before a `*`. */
export function withFrozen(network: Network, patterns: readonly string[]): Network {
  const unused = new Set(patterns)
  const isFrozen = (name: string): boolean => {
    const matching = patterns.filter((pattern) =>
      pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
    )
    for (const pattern of matching) unused.delete(pattern)
    return matching.length > 0
  }
  const weights = network.weights.map((weight) =>
    isFrozen(weight.name) ? { ...weight, role: 'frozen' as const } : weight,
  )
  if (unused.size > 0)
    throw new ZooError('invalid-manifest', `the network has no weights ${[...unused].join(', ')} to freeze`, {
      hint: `its weights are ${abridged(network.weights.map(({ name }) => name))}`,
    })
  if (!weights.some(({ role }) => role === 'kernel' || role === 'affine'))
    throw new ZooError('unsupported-model', 'the network has no weights to train', {
      hint: 'weights are the constants of its convolutions, matrix products and norms, unless the recipe freezes them',
    })
  return { ...network, weights }
}

const abridged = (names: readonly string[]): string =>
  names.length > 12 ? `${names.slice(0, 12).join(', ')} and ${names.length - 12} more` : names.join(', ')

function roleOf(name: string): WeightSpec['role'] {
  switch (name.slice(name.lastIndexOf('/') + 1)) {
    case 'kernel':
      return 'kernel'
    case 'mean':
    case 'variance':
      return 'statistic'
    default:
      return 'affine'
  }
}

type Loss = (graph: Graph) => Graph

/** What was built, by the graph and the loss: engines prepare a graph once, and know it by its identity. */
const built = new WeakMap<Graph, Map<Loss, Objective>>()

/** A loss on a branch's graph, in both forms; the same for the same branch and loss. */
export function objectiveOf(network: Network, branch: Branch, loss: Loss): Objective {
  const graph = network.graph(branch)
  const objectives = built.get(graph) ?? new Map<Loss, Objective>()
  built.set(graph, objectives)
  const objective = objectives.get(loss) ?? objectiveOn(graph, loss)
  objectives.set(loss, objective)
  return objective
}

function objectiveOn(graph: Graph, loss: Loss): Objective {
  const batch = batchStatistics(graph)
  return {
    inference: runningStatistics(loss(graph)),
    training: { graph: loss(batch.graph), statistics: batch.statistics },
  }
}
