import { ZooError } from '../../../../manifests/error.ts'
import type { Check } from '../check.ts'
import { error, note, warning } from '../finding.ts'

/** The graph contradicts itself, or is of an opset that cannot be read in today's forms. */
const form: Check = ({ normal }) =>
  normal instanceof ZooError ? [error('form', normal.message, normal.hint ? { hint: normal.hint } : {})] : []

const runs: Check = ({ run }) =>
  run instanceof ZooError
    ? [error('runs', `the file does not run: ${run.message}`, run.hint ? { hint: run.hint } : {})]
    : []

/** The opset up to which the installed onnxruntime is documented to be complete. */
const NEWEST_OPSET = 26

const opset: Check = ({ file }) => {
  const version = file.opsets.get('') ?? 0
  return version > NEWEST_OPSET
    ? [warning('opset', `opset ${version} is newer than onnxruntime knows (${NEWEST_OPSET})`)]
    : []
}

const externalData: Check = ({ file }) => {
  const paths = new Set<string>()
  for (const { file: range } of file.graph.initializers.values()) if (range) paths.add(range.path)
  return paths.size === 0
    ? []
    : [
        note('external-data', `weights lie in other files: ${[...paths].join(', ')}`, {
          hint: 'keep them beside the model wherever it goes',
        }),
      ]
}

const omitted: Check = ({ file }) =>
  file.omitted
    ? [
        note(
          'omitted',
          `parts of the file that no output depends on are left out: ${file.omitted.join(', ')}`,
        ),
      ]
    : []

const precision: Check = ({ file }) => {
  const types = new Set([...file.graph.initializers.values()].map((tensor) => tensor.dtype))
  const half = (['float16', 'bfloat16'] as const).filter((dtype) => types.has(dtype))
  return half.length > 0
    ? [note('precision', `has ${half.join(' and ')} weights; it is evaluated in float32`)]
    : []
}

export const fileChecks: readonly Check[] = [form, runs, opset, externalData, omitted, precision]
