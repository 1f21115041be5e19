import { ZooError } from '../../../manifests/error.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import type { Lowering } from '../lowering/lowering.ts'
import { type Constant, constant, type Value } from '../lowering/value.ts'
import type { Problems } from '../problems.ts'
import { ACTIVATIONS } from './activations.ts'
import { CONVOLUTIONS } from './convolutions.ts'
import { CORE, SPACE } from './core.ts'
import { MERGE } from './merge.ts'
import { NORMALISATION } from './normalisation.ts'
import { POOLING } from './pooling.ts'
import type { LayerTable } from './rule.ts'
import type { Layer, Network, Reference } from './topology.ts'

/** Every layer class that can be converted, besides inputs and models used as layers. */
export const LAYERS: LayerTable = {
  ...ACTIVATIONS,
  ...CONVOLUTIONS,
  ...CORE,
  ...MERGE,
  ...NORMALISATION,
  ...POOLING,
  ...SPACE,
}

/** What Keras 3 calls weights that had another name before. */
const NEWER_NAMES: Readonly<Record<string, string>> = { depthwise_kernel: 'kernel' }

/** Finds the weights of layers by their names in the model's manifest. */
export class LayerWeights {
  readonly #tensors: ReadonlyMap<string, Tensor>
  readonly #found = new Map<string, Constant>()
  /** Names in the manifest, by the name `layer/weight` under which tfjs looks for them. */
  readonly names = new Map<string, string>()

  constructor(tensors: ReadonlyMap<string, Tensor>) {
    this.#tensors = tensors
  }

  /**
   * `layer/weight`, or the only weight whose name ends so: Keras 3 puts the model's name before it.
   *
   * @throws ZooError `invalid-model` where there is none
   */
  of(layer: string, weight: string): Constant {
    const name = `${layer}/${weight}`
    const known = this.#found.get(name)
    if (known) return known
    const newer = NEWER_NAMES[weight]
    const own = this.#matches(name)
    const matches = own.length === 0 && newer ? this.#matches(`${layer}/${newer}`) : own
    if (matches.length !== 1)
      throw new ZooError('invalid-model', `${matches.length === 0 ? 'no' : 'more than one'} weight ${name}`)
    const found = constant(name, this.#tensors.get(matches[0]!)!)
    this.#found.set(name, found)
    this.names.set(name, matches[0]!)
    return found
  }

  #matches(name: string): string[] {
    if (this.#tensors.has(name)) return [name]
    return [...this.#tensors.keys()].filter((key) => key.endsWith(`/${name}`))
  }
}

/** What a network needs besides its inputs. */
export interface Surroundings {
  readonly l: Lowering
  readonly weights: LayerWeights
  readonly problems: Problems
}

/**
 * Writes a network on given inputs, in the order of `network.inputs`. An output that depends on something
 * unsupported is undefined; what it is stands in `problems`.
 */
export function lowerNetwork(
  network: Network,
  inputs: readonly (Value | undefined)[],
  surroundings: Surroundings,
): (Value | undefined)[] {
  const results = new Map<string, Value | undefined>()
  network.inputs.forEach((reference, i) => {
    results.set(keyOf(reference), inputs[i])
  })
  const pending = network.layers.flatMap((layer) =>
    layer.calls.map((references, call) => ({ layer, references, call })),
  )
  while (pending.length > 0) {
    const ready = pending.findIndex(({ references }) =>
      references.every((reference) => results.has(keyOf(reference))),
    )
    // What is left hangs on values that no layer gives; if an output needs them, that is told below.
    if (ready === -1) break
    const { layer, references, call } = pending.splice(ready, 1)[0]!
    const values = references.map((reference) => results.get(keyOf(reference)))
    lowerLayer(layer, values, surroundings).forEach((value, output) => {
      results.set(keyOf({ layer: layer.name, call, output }), value)
    })
  }
  return network.outputs.map((reference) => {
    if (!results.has(keyOf(reference)))
      throw new ZooError('invalid-model', `output ${reference.layer} hangs on layers that are not there`)
    return results.get(keyOf(reference))
  })
}

const keyOf = ({ layer, call, output }: Reference): string => `${layer}:${call}:${output}`

function lowerLayer(
  layer: Layer,
  inputs: readonly (Value | undefined)[],
  surroundings: Surroundings,
): (Value | undefined)[] {
  const { l, weights, problems } = surroundings
  const { name, className, config, network } = layer
  if (network) return lowerNetwork(network, inputs, surroundings)
  const rule = Object.hasOwn(LAYERS, className) ? LAYERS[className] : undefined
  if (rule === undefined) {
    problems.add(`layer class ${className}`, name)
    return [undefined]
  }
  if (!inputs.every((value) => value !== undefined)) return [undefined]
  l.scope = name
  const call = { l, config, x: inputs[0]!, inputs, weight: (weight: string) => weights.of(name, weight) }
  return [problems.attempt(`${className} ${name}`, () => rule(call))]
}
