import type { Command } from 'commander'
import { zooCommand } from '../output.ts'
import { badgeCommand } from './leaderboard/badge.ts'
import { buildCommand } from './leaderboard/build.ts'
import { checkCommand } from './leaderboard/check.ts'
import { compareCommand } from './leaderboard/compare.ts'
import { planCommand } from './leaderboard/plan.ts'
import { regenerateCommand } from './leaderboard/regenerate.ts'
import { serveCommand } from './leaderboard/serve.ts'

export function command(): Command {
  return zooCommand('leaderboard', 'Build, check, compare and serve the robustness leaderboard', [
    'zoo eval resnet638-advbn --out ledgers/resnet638-advbn',
    'zoo leaderboard build ledgers/* --out board',
    'zoo leaderboard compare board/v1 board/v2',
  ])
    .addCommand(buildCommand())
    .addCommand(checkCommand())
    .addCommand(compareCommand())
    .addCommand(planCommand())
    .addCommand(regenerateCommand())
    .addCommand(badgeCommand())
    .addCommand(serveCommand())
}
