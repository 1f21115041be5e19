import { type Command, Option } from 'commander'
import { BUILT_OPSET } from '../../converters/onnx/graph.ts'
import type { Backend } from '../../trainer/engines/open.ts'
import { NEWEST_OPSET, OLDEST_OPSET } from '../../trainer/export/opset.ts'
import { exportRun, PREPROCESSING, type Preprocessing, writeExport } from '../../trainer/export.ts'
import { positive } from '../option-values.ts'
import { io, zooCommand } from '../output.ts'
import { openData } from '../registry/data.ts'
import { clientFor, type TransferOptions, transferOptions } from '../transfer-options.ts'
import { backendOption } from './train.ts'

interface ExportFlags extends TransferOptions {
  readonly output: string
  readonly branch?: 'clean' | 'adv'
  readonly backend: Backend
  readonly name?: string
  readonly modelVersion?: string
  /** A number, or undefined for any batch size. */
  readonly batch?: number
  readonly opset: number
  readonly float16: boolean
  readonly preprocessing: Preprocessing
}

export function command(): Command {
  const exporting = zooCommand(
    'export',
    'Write what a run trained as an ONNX model, compared with the trainer',
    [
      'zoo export runs/mnist -o mnist-advbn.onnx',
      'zoo export runs/mnist -o mnist-clean.onnx --branch clean',
      'zoo export runs/mnist -o small.onnx --float16 --batch 1 --opset 13',
    ],
  )
    .argument('<run>', 'the folder that zoo train wrote')
    .requiredOption('-o, --output <model>', 'the .onnx file to write; manifest, card and report go beside it')
    .addOption(
      new Option('--branch <branch>', 'which branch of a mixture norm (default: adv)').choices([
        'adv',
        'clean',
      ]),
    )
    .option('--name <name>', "the model's name in the zoo (default: the recipe's)")
    .option('--model-version <version>', "the model's version in the zoo (default: 1)")
    .option('--batch <size>', 'symbolic, for batches of any size, or the only size to take', batchSize)
    .addOption(
      new Option('--opset <version>', `${OLDEST_OPSET} to ${NEWEST_OPSET}`)
        .argParser(positive)
        .default(BUILT_OPSET),
    )
    .option('--float16', 'store kernels in half the bytes; the file still computes in float32', false)
    .addOption(
      new Option('--preprocessing <where>', 'mean and std: inside the graph, or said in the manifest')
        .choices(PREPROCESSING)
        .default('included'),
    )
    .addOption(backendOption)
  return transferOptions(exporting).action(async (run: string, options: ExportFlags) => {
    const out = io(options)
    const client = clientFor(options, out)
    const exported = await exportRun(run, {
      branch: options.branch,
      backend: options.backend,
      name: options.name,
      version: options.modelVersion,
      batch: options.batch,
      opset: options.opset,
      float16: options.float16,
      preprocessing: options.preprocessing,
      open: (data) => openData(client, data),
      progress: out.progress,
    })
    const manifest = await writeExport(exported, options.output)
    const { parity } = exported
    out.answer({ path: options.output, manifest, parity }, () =>
      [
        `${options.output}: ${manifest.name} ${manifest.version}, ${manifest.architecture}, branch ${manifest.branch}`,
        `equals the trainer on ${parity.images} images: logits to ${parity.logits.largest.toExponential(1)}, gradients to ${parity.gradient.toExponential(1)}`,
        `next: zoo eval ${options.output}`,
      ].join('\n'),
    )
  })
}

const batchSize = (text: string): number | undefined => (text === 'symbolic' ? undefined : positive(text))
