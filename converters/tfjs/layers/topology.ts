import { ZooError } from '../../../manifests/error.ts'
import { Config } from './config.ts'

/** One of a layer's results: of its call number `call`, output number `output`. */
export interface Reference {
  readonly layer: string
  readonly call: number
  readonly output: number
}

/** A layer, and the values on which it is called: more than once where it is shared. */
export interface Layer {
  readonly name: string
  readonly className: string
  readonly config: Config
  readonly calls: readonly (readonly Reference[])[]
  /** Where the layer is a model itself. */
  readonly network?: Network
}

/** A functional model. A Sequential one is the same thing with every layer called on the one before. */
export interface Network {
  readonly name: string
  readonly layers: readonly Layer[]
  readonly inputs: readonly Reference[]
  readonly outputs: readonly Reference[]
}

type Json = Readonly<Record<string, unknown>>

/**
 * Reads a Keras topology as tfjs and Keras 1 and 2 write it (`asKeras2` brings Keras 3's into that form).
 *
 * @throws ZooError `invalid-model`
 */
export function parseTopology(topology: Json): Network {
  const model = objectAt(topology, 'model_config') ?? topology
  const className = model.class_name
  if (typeof className !== 'string' || !NETWORKS.has(className))
    throw invalid(`a model of class ${String(className)}`)
  return parseNetwork(className, model.config)
}

/** Classes that are models made of layers. */
const NETWORKS: ReadonlySet<string> = new Set(['Sequential', 'Model', 'Functional'])

function parseNetwork(className: string, config: unknown): Network {
  if (className === 'Sequential') return parseSequential(config)
  if (!isObject(config) || !Array.isArray(config.layers)) throw invalid('a model without layers')
  const layers = config.layers.map((layer: unknown) => {
    if (!isObject(layer)) throw invalid('a layer that is no object')
    const nodes = list(layer.inbound_nodes ?? [], 'inbound_nodes')
    return parseLayer(
      layer,
      nodes.map((node) => list(node, 'inbound_nodes').map(parseReference)),
    )
  })
  return countedFromZero({
    name: String(config.name ?? 'model'),
    layers,
    inputs: list(config.input_layers, 'input_layers').map(parseReference),
    outputs: list(config.output_layers, 'output_layers').map(parseReference),
  })
}

/** Before Keras 2.2.3 a Sequential's configuration was the list of its layers. */
function parseSequential(config: unknown): Network {
  const document: Json = Array.isArray(config) ? { layers: config } : isObject(config) ? config : {}
  const entries = list(document.layers, 'layers').map((entry) => {
    if (!isObject(entry)) throw invalid('a layer that is no object')
    return parseLayer(entry, [])
  })
  const [head] = entries
  if (head === undefined) throw invalid('a Sequential model without layers')
  const chain = head.className === 'InputLayer' ? entries : [inputOf(head), ...entries]
  const layers = chain.map((layer, i) => ({ ...layer, calls: i === 0 ? [] : [[resultOf(chain[i - 1]!)]] }))
  return {
    name: String(document.name ?? 'sequential'),
    layers,
    inputs: [resultOf(layers[0]!)],
    outputs: [resultOf(layers.at(-1)!)],
  }
}

const resultOf = ({ name }: Layer): Reference => ({ layer: name, call: 0, output: 0 })

/** The input that a Sequential's first layer declares, directly or, being a model, as its own input. */
function inputOf({ name, config, network }: Layer): Layer {
  const inner = network?.layers.find((layer) => layer.name === network.inputs[0]?.layer)?.config ?? config
  const input = `${name}_input`
  const fields = { batch_input_shape: inner.get('batch_input_shape'), dtype: inner.get('dtype') }
  return { name: input, className: 'InputLayer', config: new Config(fields, `layer ${input}`), calls: [] }
}

function parseLayer(entry: Json, calls: readonly (readonly Reference[])[]): Layer {
  const className = entry.class_name
  const config = entry.config ?? {}
  if (typeof className !== 'string') throw invalid('a layer without a class')
  const name = (isObject(config) ? config.name : undefined) ?? entry.name
  if (typeof name !== 'string') throw invalid(`a ${className} layer without a name`)
  const fields = isObject(config) ? config : {}
  return {
    name,
    className,
    config: new Config(fields, `layer ${name}`),
    calls,
    ...(NETWORKS.has(className) && { network: parseNetwork(className, config) }),
  }
}

function parseReference(entry: unknown): Reference {
  const [layer, call, output] = list(entry, 'a reference to a layer')
  if (typeof layer !== 'string' || typeof call !== 'number' || typeof output !== 'number')
    throw invalid(`${JSON.stringify(entry)} names no layer's output`)
  return { layer, call, output }
}

/**
 * In Keras 2 a model used as a layer counts its own construction as call 0, so that calls from outside begin with 1;
 * in Keras 3 it doesn't. Here they all begin with 0.
 */
function countedFromZero(network: Network): Network {
  const { layers, inputs, outputs } = network
  const references = [...inputs, ...outputs, ...layers.flatMap(({ calls }) => calls.flat())]
  const first = new Set(references.filter(({ call }) => call === 0).map(({ layer }) => layer))
  const late = new Set(
    layers.filter((layer) => layer.network && !first.has(layer.name)).map(({ name }) => name),
  )
  const shifted = (reference: Reference): Reference =>
    late.has(reference.layer) ? { ...reference, call: reference.call - 1 } : reference
  return {
    ...network,
    layers: layers.map((layer) => ({ ...layer, calls: layer.calls.map((call) => call.map(shifted)) })),
    inputs: inputs.map(shifted),
    outputs: outputs.map(shifted),
  }
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const objectAt = (value: Json, key: string): Json | undefined => {
  const inner = value[key]
  return isObject(inner) ? inner : undefined
}

function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(`${what} should be a list`)
  return value
}

const invalid = (what: string): ZooError =>
  new ZooError('invalid-model', `the topology cannot be read: ${what}`)
