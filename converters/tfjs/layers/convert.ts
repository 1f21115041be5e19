import { ZooError } from '../../../manifests/error.ts'
import {
  chosenOutputs,
  type DeclaredInput,
  declareInput,
  type InterfaceOptions,
  type Lowered,
} from '../interface.ts'
import type { Lowering } from '../lowering/lowering.ts'
import type { Problems } from '../problems.ts'
import type { TfjsModel } from '../read.ts'
import { asKeras2 } from './keras3.ts'
import { LayerWeights, lowerNetwork } from './lower.ts'
import { type Network, parseTopology, type Reference } from './topology.ts'

export interface LoweredLayers extends Lowered {
  readonly loadable: Loadable
}

/** What tfjs can load, should the original be newer than tfjs. */
export interface Loadable {
  /** In the form of Keras 2. */
  readonly topology: Readonly<Record<string, unknown>>
  /** Weights' names in the manifest, by the names under which tfjs looks for them. */
  readonly weightNames: ReadonlyMap<string, string>
}

/** Writes a layers model. Inputs and outputs are called after their layers. */
export function convertLayers(
  { json, weights }: TfjsModel,
  l: Lowering,
  options: InterfaceOptions,
  problems: Problems,
): LoweredLayers {
  const topology = asKeras2(json.modelTopology)
  const network = parseTopology(topology)
  const named = network.outputs.map((reference, place) => ({ name: reference.layer, reference, place }))
  const kept = chosenOutputs(named, options.outputs)
  const found = new LayerWeights(weights.tensors)
  const inputs = network.inputs.map((reference) => declareInput(l, declared(network, reference), options))
  const values = lowerNetwork({ ...network, outputs: kept.map(({ reference }) => reference) }, inputs, {
    l,
    weights: found,
    problems,
  })
  const outputs = kept.map(({ name, place }, i) => {
    const value = values[i]
    return value && { name, value, original: place }
  })
  return { inputs, outputs, loadable: { topology, weightNames: found.names } }
}

function declared({ layers }: Network, { layer: name }: Reference): DeclaredInput {
  const config = layers.find((layer) => layer.name === name)?.config
  const shape = config?.get('batch_input_shape')
  if (!Array.isArray(shape) || shape.length === 0)
    throw new ZooError('invalid-model', `input ${name} doesn't say what it takes`)
  const dims = shape.map((dim: unknown) => (typeof dim === 'number' && dim >= 0 ? dim : null))
  return { name, dtype: config?.get('dtype') === 'int32' ? 'int32' : 'float32', dims }
}
