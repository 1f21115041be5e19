import { ZooError } from '../../manifests/error.ts'
import { foldBatchNorm } from '../onnx/fold.ts'
import { type Model, modelOf } from '../onnx/graph.ts'
import { convertGraph } from './graph/convert.ts'
import type { InterfaceOptions, Lowered } from './interface.ts'
import { convertLayers, type Loadable } from './layers/convert.ts'
import { finish, type Output } from './lowering/finish.ts'
import { Lowering } from './lowering/lowering.ts'
import type { Computed } from './lowering/value.ts'
import { Problems } from './problems.ts'
import type { TfjsModel } from './read.ts'

export interface Conversion {
  readonly model: Model
  /** Inputs and outputs with the shapes that tfjs sees. */
  readonly inputs: readonly Computed[]
  readonly outputs: readonly Output[]
  /** How images (values with four axes) enter and leave. */
  readonly layout: 'nhwc' | 'nchw'
  /** For a layers model. */
  readonly loadable?: Loadable
}

/**
 * Converts a tfjs layers model or graph model to ONNX. At the interface images stay NHWC unless asked otherwise;
 * inside they are NCHW. Batch normalisation is folded into convolutions. Every size but the batch is fixed.
 *
 * @throws ZooError `unsupported-model` naming every layer or operator that cannot be converted, `invalid-model`, `usage`
 */
export function convertTfjs(source: TfjsModel, options: InterfaceOptions = {}): Conversion {
  const l = new Lowering('tfjs')
  const problems = new Problems()
  const front: Lowered & { loadable?: Loadable } =
    source.format === 'layers-model'
      ? convertLayers(source, l, options, problems)
      : convertGraph(source, l, options, problems)
  problems.throwIfAny()
  const known = front.outputs.filter((output) => output !== undefined)
  if (known.length < front.outputs.length || known.length === 0)
    throw new ZooError('invalid-model', 'the model gives nothing, or reads itself in a circle')
  const layout = options.layout ?? 'nhwc'
  const { graph, outputs } = finish(l, known, layout === 'nchw' ? 'channels-first' : 'as-is')
  const model = modelOf(foldBatchNorm(graph))
  model.metadata.set('source_format', `tfjs ${source.format}`)
  for (const { path, sha256 } of source.files) model.metadata.set(`source_sha256:${path}`, sha256)
  const { inputs, loadable } = front
  return { model, inputs, outputs, layout, ...(loadable && { loadable }) }
}
