import { type Command, Option } from 'commander'
import type { Backend } from '../../trainer/engines/open.ts'
import { exportRun, writeExport } from '../../trainer/export.ts'
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
}

export function command(): Command {
  const exporting = zooCommand(
    'export',
    'Write what a run trained as an ONNX model, compared with the trainer',
    ['zoo export runs/mnist -o mnist-advbn.onnx', 'zoo export runs/mnist -o mnist-clean.onnx --branch clean'],
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
    .addOption(backendOption)
  return transferOptions(exporting).action(async (run: string, options: ExportFlags) => {
    const out = io(options)
    const client = clientFor(options, out)
    const exported = await exportRun(run, {
      branch: options.branch,
      backend: options.backend,
      name: options.name,
      version: options.modelVersion,
      open: (data) => openData(client, data),
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
