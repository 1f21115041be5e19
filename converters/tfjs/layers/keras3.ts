type Json = Readonly<Record<string, unknown>>

/**
 * A topology as Keras 3 writes it, in the form of Keras 2. tfjs itself fails on the first ("an InputLayer should be
 * passed either a `batchInputShape` or an `inputShape`"), so the rewritten one is what it is asked to run, too.
 * Differences: `batch_shape`, data types as policy objects, inbound nodes as calls with tensors among their
 * arguments, single references that are not in a list, and some names. Anything else is left as it is.
 */
export function asKeras2(topology: Json): Json {
  return rewritten(topology) as Json
}

function rewritten(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rewritten)
  if (!isObject(value)) return value
  const result: Record<string, unknown> = {}
  for (const [key, entry] of Object.entries(value)) {
    if (key === 'batch_shape') result.batch_input_shape = entry
    else if (key === 'dtype') result.dtype = dataType(entry)
    else if (key === 'inbound_nodes') result.inbound_nodes = inboundNodes(entry)
    else if (key === 'activation') result.activation = entry === 'silu' ? 'swish' : rewritten(entry)
    else if (key === 'input_layers' || key === 'output_layers') result[key] = listed(entry)
    else result[key] = rewritten(entry)
  }
  if (value.class_name === 'LeakyReLU' && isObject(result.config))
    result.config = { alpha: result.config.negative_slope, ...result.config }
  return result
}

/** `{ class_name: 'DTypePolicy', config: { name: 'float32' } }` is 'float32'. */
function dataType(value: unknown): unknown {
  if (!isObject(value) || !isObject(value.config)) return value
  return value.config.name ?? value
}

/** `['input', 0, 0]` for `[['input', 0, 0]]`. */
const listed = (value: unknown): unknown =>
  Array.isArray(value) && typeof value[0] === 'string' ? [value] : value

function inboundNodes(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  return value.map((node: unknown) => (isObject(node) ? tensorsIn(node.args) : listed(node)))
}

/** The `[layer, call, output, {}]` of every tensor among a call's arguments. */
function tensorsIn(value: unknown): unknown[] {
  if (Array.isArray(value)) return value.flatMap(tensorsIn)
  if (!isObject(value) || value.class_name !== '__keras_tensor__' || !isObject(value.config)) return []
  const history = value.config.keras_history
  return Array.isArray(history) ? [[...history, {}]] : []
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
