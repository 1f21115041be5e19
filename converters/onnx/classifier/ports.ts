import { ZooError } from '../../../manifests/error.ts'
import type { Graph, ValueInfo } from '../graph.ts'
import { prune } from '../prune.ts'
import { readsOf } from '../reads.ts'

/** The graph of one output, with those inputs that it depends on. */
export function endingAt(graph: Graph, output: ValueInfo): Graph {
  const needed = prune({ ...graph, outputs: [output] })
  const read = new Set(needed.nodes.flatMap(readsOf))
  return { ...needed, inputs: needed.inputs.filter(({ name }) => read.has(name)) }
}

/** The input that takes images: the one named, which must be the only one there is. */
export function imageInput(graph: Graph, name: string | undefined): ValueInfo {
  const inputs = graph.inputs.filter((input) => !graph.initializers.has(input.name))
  const input = name === undefined ? inputs[0] : inputs.find((candidate) => candidate.name === name)
  if (input === undefined && name !== undefined)
    throw new ZooError('usage', `the scores depend on no input "${name}", but on ${listed(inputs)}`)
  if (input === undefined || inputs.length > 1)
    throw new ZooError(
      'unsupported-model',
      inputs.length === 0
        ? 'the scores depend on no input'
        : `the scores depend on ${inputs.length} inputs: ${listed(inputs)}`,
      { hint: 'only models with a single input, the image, can be attacked' },
    )
  if (input.dims === null || input.dims.length < 2)
    throw new ZooError(
      'unsupported-model',
      `the input "${input.name}" is no batch of images: its shape is ${shape(input)}`,
    )
  return input
}

/** The output that holds the class scores: the one named, or the only one that can. */
export function scoresOutput(graph: Graph, name: string | undefined): ValueInfo {
  const { outputs } = graph
  if (name !== undefined) {
    const output = outputs.find((candidate) => candidate.name === name)
    if (output) return tensor(output)
    throw new ZooError('usage', `the model has no output "${name}"; it has ${listed(outputs)}`)
  }
  const candidates = outputs.filter(
    ({ dtype, dims }) => dtype.startsWith('float') && (dims === null || dims.length === 2),
  )
  const only = outputs.length === 1 ? outputs[0] : candidates.length === 1 ? candidates[0] : undefined
  const other = candidates.length === 0 ? outputs.find(({ otherType }) => otherType !== undefined) : undefined
  if (only ?? other) return tensor((only ?? other)!)
  throw new ZooError('unsupported-model', `the model has several outputs: ${listed(outputs)}`, {
    hint: 'say which one holds the class scores (--output NAME)',
  })
}

function tensor(output: ValueInfo): ValueInfo {
  if (output.otherType === undefined) return output
  throw new ZooError(
    'unsupported-model',
    `the output "${output.name}" is no tensor but a sequence or a map`,
    {
      hint: "export the scores as a tensor; with scikit-learn's converter by options={'zipmap': False}",
    },
  )
}

const listed = (values: readonly ValueInfo[]): string =>
  values.map((value) => `"${value.name}" ${value.dtype} ${shape(value)}`).join(', ')

const shape = ({ dims }: ValueInfo): string =>
  dims === null ? 'of unknown shape' : `[${dims.map((dim) => dim ?? '?').join(', ')}]`
