import type { Command } from 'commander'
import { mergeLedgers } from '../../evaluator/merge.ts'
import { describeResult } from '../describe-result.ts'
import { io, zooCommand } from '../output.ts'

export function command(): Command {
  return zooCommand('merge', 'Join the shards of an evaluation and add up', [
    'zoo merge shard-1/ shard-2/ --out run/',
  ])
    .argument('<dirs...>', 'the folders of all shards')
    .requiredOption('--out <dir>', 'where the whole evaluation goes')
    .action(async (dirs: string[], options: { json?: boolean; out: string }) => {
      const out = io(options)
      const { result } = await mergeLedgers(dirs, options.out)
      out.answer(result, () => describeResult(result, options.out))
    })
}
