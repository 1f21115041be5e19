import { type Command, InvalidArgumentError } from 'commander'
import { io, zooCommand } from '../output.ts'
import { prune } from '../registry/prune.ts'
import { clientFor, type TransferOptions } from '../transfer-options.ts'

interface PruneOptions extends TransferOptions {
  readonly grace: number
  readonly dryRun?: boolean
}

const HOUR = 3_600_000

export function command(): Command {
  return zooCommand('prune', 'Remove from the cache what nothing leads to any more', [
    'zoo prune --dry-run',
    'zoo prune --grace 0',
  ])
    .option('--grace <hours>', 'leave what changed within so many hours', hours, 24)
    .option('--dry-run', 'say what would go, and remove nothing')
    .action(async (options: PruneOptions) => {
      const out = io(options)
      const dryRun = options.dryRun === true
      const pruned = await prune(clientFor(options, out), { grace: options.grace * HOUR, dryRun })
      out.answer({ ...pruned, dryRun }, ({ removed, bytes }) =>
        [
          ...removed,
          `${removed.length} files and folders, ${(bytes / 1e6).toFixed(1)} MB ${dryRun ? 'would go' : 'removed'}`,
        ].join('\n'),
      )
    })
}

function hours(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0) return value
  throw new InvalidArgumentError('it is a number of hours')
}
