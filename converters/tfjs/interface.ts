import { ZooError } from '../../manifests/error.ts'
import type { DataType } from '../onnx/tensor.ts'
import { BATCH, type Dim } from './dims.ts'
import type { Output } from './lowering/finish.ts'
import type { Lowering } from './lowering/lowering.ts'
import type { Computed } from './lowering/value.ts'

export interface InterfaceOptions {
  /** How images (values with four axes) enter and leave the converted model; tfjs's own is `nhwc`. */
  readonly layout?: 'nhwc' | 'nchw'
  /** Height and width, for a model that leaves them open. */
  readonly size?: readonly [number, number]
  /** A fixed batch size, for a model that leaves it open. */
  readonly batch?: number
  /** Keep only these outputs. */
  readonly outputs?: readonly string[]
}

/** What a front end has written: the model's inputs, and its outputs, undefined where one hangs on something unsupported. */
export interface Lowered {
  readonly inputs: readonly Computed[]
  readonly outputs: readonly (Output | undefined)[]
}

/** An input as the original declares it; null stands for a size that it leaves open. */
export interface DeclaredInput {
  readonly name: string
  readonly dtype: DataType
  readonly dims: readonly (number | null)[]
}

/**
 * Declares an input in the file. All sizes but the batch must be known then.
 *
 * @throws ZooError `usage` where a size is open that no option fixes
 */
export function declareInput(l: Lowering, declared: DeclaredInput, options: InterfaceOptions): Computed {
  const { name, dtype, dims } = declared
  const isImage = dims.length === 4
  const known = dims.map((dim, axis): Dim => {
    if (dim !== null) return dim
    if (axis === 0) return options.batch ?? BATCH
    const given = isImage && axis < 3 ? options.size?.[axis - 1] : undefined
    if (given === undefined)
      throw new ZooError(
        'usage',
        `input ${name} leaves its size open: [${dims.map((size) => size ?? '?')}]`,
        {
          hint: isImage ? 'say which: --size HEIGHTxWIDTH' : 'only the batch of such an input may be open',
        },
      )
    return given
  })
  const layout = isImage && options.layout === 'nchw' ? 'channels-first' : 'as-is'
  return l.input(name, dtype, known, layout)
}

/**
 * The outputs that are to be kept; all of them unless some are named.
 *
 * @throws ZooError `not-found`, listing the outputs that there are
 */
export function chosenOutputs<T extends { readonly name: string }>(
  outputs: readonly T[],
  names: readonly string[] | undefined,
): readonly T[] {
  if (names === undefined) return outputs
  return names.map((name) => {
    const output = outputs.find((candidate) => candidate.name === name)
    if (output) return output
    throw new ZooError('not-found', `the model has no output ${name}`, {
      hint: `its outputs are ${outputs.map((candidate) => candidate.name).join(', ')}`,
    })
  })
}
