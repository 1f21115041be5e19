import type { Command } from 'commander'
import type { Job } from '../../../evaluator/leaderboard/jobs.ts'
import { type Matrix, matrixOf } from '../../../evaluator/leaderboard/matrix.ts'
import { aligned } from '../../../evaluator/leaderboard/text.ts'
import { positive } from '../../option-values.ts'
import { io, zooCommand } from '../../output.ts'
import { clientFor, type TransferOptions, transferOptions } from '../../transfer-options.ts'
import { jobsOf, readBoardPlan } from './candidates.ts'

interface Options extends TransferOptions {
  readonly store: string
  readonly shards: number
}

export const planCommand = (): Command =>
  transferOptions(
    zooCommand('plan', 'Say what of the board’s plan is still to be evaluated, as a matrix for CI', [
      'zoo leaderboard plan board.json --store ledgers',
      'zoo leaderboard plan board.json --store ledgers --shards 4 --json',
    ])
      .argument('<plan>', 'which models in which tracks: a board plan (.json)')
      .requiredOption('--store <dir>', 'where ledgers are kept; what is finished there is not planned again')
      .option('--shards <n>', 'parts into which each evaluation is split', positive, 1),
  ).action(async (path: string, options: Options) => {
    const out = io(options)
    const jobs = await jobsOf(await readBoardPlan(path), options.store, clientFor(options, out))
    out.answer(matrixOf(jobs, options.shards), () => planText(jobs, matrixOf(jobs, options.shards)))
  })

function planText(jobs: readonly Job[], { include }: Matrix): string {
  const pending = jobs.filter(({ state }) => state !== 'finished').length
  return `${aligned([['state', 'evaluation'], ...jobs.map(({ state, id }) => [state, id])])}\n\n${pending} of ${jobs.length} to do, in ${include.length} parts`
}
