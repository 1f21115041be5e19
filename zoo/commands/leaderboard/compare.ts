import type { Command } from 'commander'
import { type Comparison, compare } from '../../../evaluator/leaderboard/compare.ts'
import { readMeasured } from '../../../evaluator/leaderboard/measured.ts'
import { comparisonText } from '../../../evaluator/leaderboard/text.ts'
import { ZooError } from '../../../manifests/error.ts'
import { io, printFailure, zooCommand } from '../../output.ts'

export const compareCommand = (): Command =>
  zooCommand('compare', 'Say what moved between two versions of the board, or two evaluations, and why', [
    'zoo leaderboard compare board/v1 board/v2',
    'zoo leaderboard compare baseline.json result.json --fail-on-drop',
  ])
    .argument('<before>', 'a version of a board, a track.json, a ledger, or what `zoo eval --json` printed')
    .argument('<after>', 'the same, newer')
    .option('--fail-on-drop', 'fail if a robust accuracy fell below the interval that it had before')
    .action(async (before: string, after: string, options: { failOnDrop?: boolean; json?: boolean }) => {
      const { answer } = io(options)
      const comparison = compare(await readMeasured(before), await readMeasured(after))
      answer(comparison, comparisonText)
      if (options.failOnDrop) failOnDrop(comparison)
    })

/** The comparison is the answer either way; the verdict goes to stderr and into the exit code. */
function failOnDrop({ changes }: Comparison): void {
  const dropped = changes.filter((change) => change.dropped)
  const compared = changes.filter(({ before, after }) => before && after)
  if (compared.length > 0 && dropped.length === 0) return
  const failure =
    compared.length === 0
      ? new ZooError('check-failed', 'no model was evaluated in the same track on both sides', {
          hint: 'a track is one data set, one threat and one version of one battery',
        })
      : new ZooError(
          'check-failed',
          `robust accuracy dropped by more than its interval: ${dropped.map(({ model }) => model).join(', ')}`,
        )
  printFailure(failure, false)
  process.exitCode = failure.exitCode
}
