import type { Command } from 'commander'
import { type Regenerated, regenerate } from '../../../evaluator/leaderboard/regenerate.ts'
import { readReported } from '../../../evaluator/leaderboard/reported.ts'
import { boardText } from '../../../evaluator/leaderboard/text.ts'
import type { EvaluationRequest } from '../../../evaluator/request.ts'
import { dataArgument } from '../../data-argument.ts'
import { oneOf, positive } from '../../option-values.ts'
import { io, zooCommand } from '../../output.ts'
import { clientFor, type TransferOptions, transferOptions } from '../../transfer-options.ts'
import { jobsOf, readBoardPlan } from './candidates.ts'

interface Options extends TransferOptions {
  readonly store: string
  readonly out: string
  readonly parts?: string
  readonly provider: EvaluationRequest['provider']
  readonly jobs?: number
  readonly threads?: number
}

export const regenerateCommand = (): Command =>
  transferOptions(
    zooCommand('regenerate', 'Evaluate what is new in the plan, and build the board of everything', [
      'zoo leaderboard regenerate board.json --store ledgers --out board',
    ])
      .argument('<plan>', 'which models in which tracks: a board plan (.json)')
      .requiredOption('--store <dir>', 'where ledgers are kept; what is finished there is not done again')
      .requiredOption('--out <dir>', 'the board’s folder; earlier versions in it stay as they are')
      .option(
        '--parts <dir>',
        'parts that other machines have evaluated (see `plan`): merged, not done again',
      )
      .option('--provider <provider>', 'cpu, cuda or webgpu', oneOf('cpu', 'cuda', 'webgpu'), 'cpu')
      .option('--jobs <n>', 'processes; default: measured', positive)
      .option('--threads <n>', 'threads in each process; default: measured', positive),
  ).action(async (path: string, options: Options) => {
    const out = io(options)
    const client = clientFor(options, out)
    const jobs = await jobsOf(await readBoardPlan(path), options.store, client)
    const regenerated = await regenerate(
      jobs,
      {
        store: options.store,
        out: options.out,
        reported: await readReported(),
        data: (dataset) => dataArgument(client, dataset),
        provider: options.provider,
        parts: options.parts,
        processes: options.jobs,
        threads: options.threads,
      },
      out.progress,
    )
    out.answer(regenerated, regeneratedText)
  })

const regeneratedText = ({ evaluated, kept, board }: Regenerated): string =>
  `${boardText(board)}\n${evaluated.length} evaluated, ${kept.length} kept from the store${board.changes ? `; what moved: ${board.changes}` : ''}`
