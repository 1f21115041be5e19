import type { Command } from 'commander'
import { buildLeaderboard } from '../../../evaluator/leaderboard/build.ts'
import { readEvaluation } from '../../../evaluator/leaderboard/evaluation.ts'
import { readReported } from '../../../evaluator/leaderboard/reported.ts'
import { boardText } from '../../../evaluator/leaderboard/text.ts'
import { modelCards } from '../../model-cards.ts'
import { io, zooCommand } from '../../output.ts'
import { clientFor } from '../../transfer-options.ts'

export const buildCommand = (): Command =>
  zooCommand('build', 'Make the board of the ledgers that `zoo eval --out` kept', [
    'zoo leaderboard build ledgers/* --out board',
  ])
    .argument('<dir...>', 'folders of finished evaluations')
    .requiredOption('--out <dir>', 'the board’s folder; earlier versions in it stay as they are')
    .action(async (dirs: string[], options: { out: string; json?: boolean }) => {
      const out = io(options)
      const evaluations = await Promise.all(dirs.map(readEvaluation))
      const models = await modelCards(
        clientFor(options, out),
        evaluations.map(({ result }) => result.model),
      )
      const reported = await readReported()
      out.answer(await buildLeaderboard(dirs, { out: options.out, models, reported }), boardText)
    })
