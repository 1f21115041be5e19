import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { prepareClassifier } from '../converters/onnx/classifier.ts'
import { readModel, writeModel } from '../converters/onnx/file.ts'
import type { Graph, Model, Node } from '../converters/onnx/graph.ts'
import { ZooError } from '../manifests/error.ts'
import type { InputDescription } from '../manifests/schema/input.ts'
import type { WeightSpec } from './engines/engine.ts'
import type { Network } from './network.ts'

/** Where a run keeps the network that it was given, prepared for training. */
const FILE = 'network.onnx'

/**
 * Makes a model file trainable: from `image` in [0,1] to `logits`, its preprocessing inside the graph. Batch norm is folded
 * into what precedes it and stays folded: fine-tuning goes on with the normalisation that the file has.
 *
 * @throws ZooError `unsupported-model` where it is no image classifier, or takes one batch size only
 */
export async function prepareGiven(path: string, input: InputDescription): Promise<Model> {
  const { model, batch, image } = await prepareClassifier(await readModel(path), { input })
  if (batch !== null)
    throw new ZooError(
      'unsupported-model',
      `${path} takes batches of ${batch} only, and training needs others`,
    )
  if (image !== 'image') throw new ZooError('internal', `the image input of ${path} is called ${image}`)
  return model
}

export const writeGiven = (model: Model, folder: string): Promise<void> =>
  writeModel(model, join(folder, FILE))

/** @throws ZooError `usage` where the run was given none */
export async function readGiven(folder: string): Promise<Network> {
  const path = join(folder, FILE)
  if (!existsSync(path))
    throw new ZooError('usage', 'the recipe wants a network to be given', { hint: 'give --from MODEL.onnx' })
  return networkFrom((await readModel(path)).graph)
}

/** A prepared graph as a network with one branch. What its layers are made of is trained; other constants stay. */
export function networkFrom(graph: Graph): Network {
  const [, ...shape] = graph.inputs[0]!.dims as [unknown, number, number, number]
  const classes = graph.outputs[0]!.dims![1] as number
  const roles = new Map<string, WeightSpec['role']>()
  for (const node of graph.nodes)
    for (const [index, name] of node.inputs.entries()) {
      const role = roleOf(node, index)
      const tensor = graph.initializers.get(name)
      if (role && tensor?.dtype === 'float32') roles.set(name, role)
    }
  const weights = [...roles].map(([name, role]) => ({ name, role, value: graph.initializers.get(name)! }))
  return {
    shape: shape as [number, number, number],
    classes,
    branches: ['main'],
    weights,
    graph: () => graph,
  }
}

/** Which inputs of which layers are weights. */
function roleOf({ opType }: Node, index: number): WeightSpec['role'] | undefined {
  switch (opType) {
    case 'Conv':
    case 'Gemm':
      return ([undefined, 'kernel', 'affine'] as const)[index]
    case 'MatMul':
      return 'kernel'
    case 'BatchNormalization':
      return ([undefined, 'affine', 'affine', 'statistic', 'statistic'] as const)[index]
    case 'LayerNormalization':
    case 'InstanceNormalization':
    case 'PRelu':
      return index > 0 ? 'affine' : undefined
    default:
      return undefined
  }
}
