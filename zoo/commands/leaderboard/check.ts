import type { Command } from 'commander'
import { type CheckReport, checkSubmission } from '../../../evaluator/leaderboard/check.ts'
import { aligned } from '../../../evaluator/leaderboard/text.ts'
import type { Plan } from '../../../evaluator/protocol/plan.ts'
import { batteryIds, readBattery } from '../../../manifests/batteries/read.ts'
import { ZooError } from '../../../manifests/error.ts'
import { dataArgument } from '../../data-argument.ts'
import { natural, positive } from '../../option-values.ts'
import { io, printFailure, zooCommand } from '../../output.ts'
import { clientFor, type TransferOptions, transferOptions } from '../../transfer-options.ts'

interface Options extends TransferOptions {
  readonly model?: string
  readonly data?: string
  readonly images?: number
  readonly seed?: number
  readonly replay: boolean
  readonly sample: number
}

export const checkCommand = (): Command =>
  transferOptions(
    zooCommand('check', 'Say whether an evaluation may stand on the board, and if not, why', [
      'zoo leaderboard check ledgers/mine --model model.onnx',
      'zoo leaderboard check ledgers/* --images 1000',
    ])
      .argument('<ledger...>', 'folders that `zoo eval --out` kept')
      .option('--model <file>', 'the .onnx file; by default where it lay when it was evaluated')
      .option('--data <data>', 'the data set; by default the one that the ledger names')
      .option('--images <n>', 'how many images the board asks for; by default the whole data set', positive)
      .option('--seed <seed>', 'the seed that the board drew', natural)
      .option('--no-replay', 'don’t run the stored images again')
      .option('--sample <n>', 'how many of the images that stand are attacked again', natural, 32),
  ).action(async (dirs: string[], options: Options) => {
    const out = io(options)
    if (options.model !== undefined && dirs.length > 1)
      throw new ZooError('usage', '--model names one file, but there are several ledgers')
    const client = clientFor(options, out)
    const reports: CheckReport[] = []
    for (const dir of dirs)
      reports.push(
        await checkSubmission(dir, {
          model: options.model,
          images: options.images,
          seed: options.seed,
          replay: options.replay,
          sample: options.sample,
          progress: out.progress,
          battery: (id) => (batteryIds().includes(id) ? readBattery(id) : undefined),
          data: ({ protocol }: Plan) => dataArgument(client, options.data ?? protocol.dataset.name),
        }),
      )
    out.answer(reports, (all) => all.map(reportText).join('\n\n'))
    const failed = reports.filter(({ passed }) => !passed)
    if (failed.length === 0) return
    const failure = new ZooError(
      'check-failed',
      `not fit for the board: ${failed.map(({ dir }) => dir).join(', ')}`,
    )
    printFailure(failure, false)
    process.exitCode = failure.exitCode
  })

const SIGNS = { passed: '✓', failed: '✗', skipped: '–' } as const

const reportText = ({ dir, findings }: CheckReport): string =>
  `${dir}\n${aligned(findings.map(({ check, verdict, detail }) => [`  ${SIGNS[verdict]}`, check, detail]))}`
