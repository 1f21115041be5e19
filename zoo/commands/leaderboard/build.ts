import type { Command } from 'commander'
import { buildLeaderboard } from '../../../evaluator/leaderboard/build.ts'
import { readReported } from '../../../evaluator/leaderboard/reported.ts'
import { boardText } from '../../../evaluator/leaderboard/text.ts'
import { io, zooCommand } from '../../output.ts'

export const buildCommand = (): Command =>
  zooCommand('build', 'Make the board of the ledgers that `zoo eval --out` kept', [
    'zoo leaderboard build ledgers/* --out board',
  ])
    .argument('<dir...>', 'folders of finished evaluations')
    .requiredOption('--out <dir>', 'the board’s folder; earlier versions in it stay as they are')
    .action(async (dirs: string[], options: { out: string; json?: boolean }) => {
      const { answer } = io(options)
      const reported = await readReported()
      answer(await buildLeaderboard(dirs, { out: options.out, reported }), boardText)
    })
