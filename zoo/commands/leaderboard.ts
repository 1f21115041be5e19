import type { Command } from 'commander'
import { buildLeaderboard } from '../../evaluator/leaderboard/build.ts'
import { boardText } from '../../evaluator/leaderboard/text.ts'
import { io, zooCommand } from '../output.ts'

export function command(): Command {
  const group = zooCommand('leaderboard', 'Build, check, compare and serve the robustness leaderboard', [
    'zoo eval resnet638-advbn --out ledgers/resnet638-advbn',
    'zoo leaderboard build ledgers/* --out board',
  ])
  group.addCommand(build())
  return group
}

const build = (): Command =>
  zooCommand('build', 'Make the board of the ledgers that `zoo eval --out` kept', [
    'zoo leaderboard build ledgers/* --out board',
  ])
    .argument('<dir...>', 'folders of finished evaluations')
    .requiredOption('--out <dir>', 'the board’s folder; earlier versions in it stay as they are')
    .action(async (dirs: string[], options: { out: string; json?: boolean }) => {
      const { answer } = io(options)
      answer(await buildLeaderboard(dirs, { out: options.out }), boardText)
    })
