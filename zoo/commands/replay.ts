import type { Command } from 'commander'
import { type ReplayReport, replay } from '../../evaluator/replay.ts'
import { EXIT_CODES } from '../../manifests/error.ts'
import { io, zooCommand } from '../output.ts'

interface Options {
  readonly json?: boolean
  readonly model?: string
}

export function command(): Command {
  return zooCommand(
    'replay',
    'Run the stored adversarial images of an evaluation again, as stored and rounded to 8 bits',
    ['zoo replay run/', 'zoo replay run/ --model other-copy.onnx --json'],
  )
    .argument('<dir>', "an evaluation's folder, from zoo eval --out")
    .option('--model <path>', 'the .onnx file, where it no longer lies where it was')
    .action(async (dir: string, options: Options) => {
      const out = io(options)
      const report = await replay(dir, out.progress, { model: options.model })
      out.answer(report, describe)
      if (report.disagreements.length > 0) process.exitCode = EXIT_CODES['check-failed']
    })
}

function describe({ images, disagreements, rounded }: ReplayReport): string {
  return [
    `${images} stored images, ${images - disagreements.length} as the ledger says`,
    ...disagreements.map(
      ({ index, attack, recorded, found }) =>
        `  image ${index}, ${attack}: recorded ${recorded}, found ${found}`,
    ),
    `rounded to 8 bits, ${rounded.broken} still mislead the model`,
  ].join('\n')
}
