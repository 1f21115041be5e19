import type { Command } from 'commander'
import { badge } from '../../../evaluator/leaderboard/badge.ts'
import { readEvaluation } from '../../../evaluator/leaderboard/evaluation.ts'
import { writeFileAtomic } from '../../../manifests/atomic.ts'
import { io, zooCommand } from '../../output.ts'

export const badgeCommand = (): Command =>
  zooCommand('badge', 'Draw the badge of one evaluation, for a model’s README', [
    'zoo leaderboard badge ledgers/mine -o badge.svg',
  ])
    .argument('<ledger>', 'a folder that `zoo eval --out` kept')
    .requiredOption('-o, --output <file>', 'the SVG file to write')
    .action(async (ledger: string, options: { output: string; json?: boolean }) => {
      const { result } = await readEvaluation(ledger)
      await writeFileAtomic(options.output, badge(result))
      io(options).answer({ badge: options.output }, () => options.output)
    })
